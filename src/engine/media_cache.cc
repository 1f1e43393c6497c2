#include "engine/media_cache.h"

#include <utility>

namespace calliope::engine {

size_t MediaCache::Entry::bytes() const {
  int64_t numbers = features.features.empty() ? 0 : features.features.elements();
  for (const auto& level : features.deepstack) numbers += level.elements();
  return static_cast<size_t>(numbers) * sizeof(float) + parts.size() * sizeof(ContentHash);
}

const MediaCache::Entry* MediaCache::use(const ContentHash& hash) {
  ++asked_;
  const auto known = by_hash_.find(hash);
  if (known == by_hash_.end()) return nullptr;
  ++found_;
  entries_.splice(entries_.begin(), entries_, known->second);
  return &*known->second;
}

void MediaCache::keep(Entry entry) {
  const size_t bytes = entry.bytes();
  if (bytes > most_bytes_ || by_hash_.contains(entry.hash)) return;
  entries_.push_front(std::move(entry));
  by_hash_[entries_.front().hash] = entries_.begin();
  bytes_ += bytes;
  while (bytes_ > most_bytes_) {
    bytes_ -= entries_.back().bytes();
    by_hash_.erase(entries_.back().hash);
    entries_.pop_back();
  }
}

const model::VisionFeatures* MediaCache::find(const ContentHash& hash) {
  const Entry* entry = use(hash);
  return entry ? &entry->features : nullptr;
}

void MediaCache::keep(const ContentHash& hash, const model::VisionFeatures& features) {
  if (!by_hash_.contains(hash)) keep({hash, features, {}});
}

const std::vector<ContentHash>* MediaCache::find_parts(const ContentHash& hash) {
  const Entry* entry = use(hash);
  return entry ? &entry->parts : nullptr;
}

void MediaCache::keep_parts(const ContentHash& hash, std::vector<ContentHash> parts) {
  keep({hash, {}, std::move(parts)});
}

}  // namespace calliope::engine
