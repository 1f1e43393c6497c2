#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <vector>

#include "engine/token_mark.h"
#include "model/vision_encoder.h"

namespace calliope::engine {

/// What the encoders made of pictures and of pieces of sounds, by content: a conversation sends them again with every
/// turn. The longest unused go first. Of a piece of a sound there is only `features`.
class MediaCache {
 public:
  explicit MediaCache(size_t most_bytes) : most_bytes_(most_bytes) {}

  /// Null when it is not there; valid until the next keep().
  const model::VisionFeatures* find(const ContentHash& hash);
  /// Keeps a copy, unless it is larger than the whole cache.
  void keep(const ContentHash& hash, const model::VisionFeatures& features);

  /// Which pieces a sound is made of.
  const std::vector<ContentHash>* find_parts(const ContentHash& hash);
  void keep_parts(const ContentHash& hash, std::vector<ContentHash> parts);

  size_t bytes() const { return bytes_; }
  /// How often something was asked for, and was there.
  int64_t asked() const { return asked_; }
  int64_t found() const { return found_; }

 private:
  struct Entry {
    ContentHash hash;
    model::VisionFeatures features;
    std::vector<ContentHash> parts;
    size_t bytes() const;
  };
  const Entry* use(const ContentHash& hash);
  void keep(Entry entry);
  struct Hash {
    size_t operator()(const ContentHash& hash) const { return static_cast<size_t>(hash.a); }
  };
  size_t most_bytes_, bytes_ = 0;
  int64_t asked_ = 0, found_ = 0;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<ContentHash, std::list<Entry>::iterator, Hash> by_hash_;
};

}  // namespace calliope::engine
