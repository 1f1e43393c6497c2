#include "engine/media_cache.h"

namespace calliope::engine {
namespace {

size_t bytes_of(const model::VisionFeatures& features) {
  int64_t numbers = features.features.elements();
  for (const auto& level : features.deepstack) numbers += level.elements();
  return static_cast<size_t>(numbers) * sizeof(float);
}

}  // namespace

const model::VisionFeatures* MediaCache::find(const ContentHash& hash) {
  const auto known = by_hash_.find(hash);
  if (known == by_hash_.end()) return nullptr;
  ++found_;
  entries_.splice(entries_.begin(), entries_, known->second);
  return &known->second->features;
}

void MediaCache::keep(const ContentHash& hash, const model::VisionFeatures& features) {
  const size_t bytes = bytes_of(features);
  if (bytes > most_bytes_ || by_hash_.contains(hash)) return;
  entries_.push_front({hash, features});
  by_hash_[hash] = entries_.begin();
  bytes_ += bytes;
  while (bytes_ > most_bytes_) {
    bytes_ -= bytes_of(entries_.back().features);
    by_hash_.erase(entries_.back().hash);
    entries_.pop_back();
  }
}

}  // namespace calliope::engine
