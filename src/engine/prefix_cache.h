#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/token_mark.h"
#include "model/kv_pages.h"

namespace calliope::engine {

/// Pages of sequences that were run before, by what they hold, so that a prompt which begins as another did (the same
/// system prompt, the turns before this one) is not run again. Only whole pages; a page is known by its marks and the page
/// before it, compared whole, not by hash. The pages stay in the thinker's memory and count there; when it is full, those
/// that no session uses go, the longest unused first.
class PrefixCache {
 public:
  static constexpr uint64_t kStart = 0;  ///< what the first page of a sequence follows

  explicit PrefixCache(std::shared_ptr<model::KvPages> memory);
  ~PrefixCache();

  struct Found {
    std::vector<int32_t> pages;       ///< from the beginning on; not yet shared
    std::vector<float> media_hidden;  ///< the accept layer's hidden states of their media rows, in order
    std::vector<uint64_t> names;      ///< of the pages
    uint64_t last = kStart;           ///< the last name
  };
  /// The longest known beginning of `marks`, in whole pages.
  Found find(std::span<const TokenMark> marks);

  /// Remembers a page that follows page `after`: its marks, and the hidden states of its media rows. Returns its name. A
  /// page that is known already stays as it is.
  uint64_t keep(uint64_t after, std::span<const TokenMark> marks, int32_t page, std::vector<float> media_hidden);

  void clear();
  int64_t pages() const { return static_cast<int64_t>(entries_.size()); }
  /// Pages that find() gave, and pages of the prompts it was asked for, since the start.
  int64_t pages_found() const { return pages_found_; }
  int64_t pages_asked() const { return pages_asked_; }

 private:
  struct Key {
    uint64_t after = kStart;
    std::vector<TokenMark> marks;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Entry {
    const Key* key = nullptr;
    uint64_t name = 0;
    int32_t page = -1;
    std::vector<float> media_hidden;
  };
  using Entries = std::list<Entry>;
  void drop(Entries::iterator entry);
  void drop_unused();

  std::shared_ptr<model::KvPages> memory_;
  Entries entries_;  // the last used first
  std::unordered_map<Key, Entries::iterator, KeyHash> by_key_;
  uint64_t names_ = kStart;
  int64_t pages_found_ = 0, pages_asked_ = 0;
};

}  // namespace calliope::engine
