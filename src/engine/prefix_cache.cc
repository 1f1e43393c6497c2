#include "engine/prefix_cache.h"

#include <utility>

namespace calliope::engine {

PrefixCache::PrefixCache(std::shared_ptr<model::KvPages> memory) : memory_(std::move(memory)) {
  memory_->on_full([this] { drop_unused(); });
}

PrefixCache::~PrefixCache() {
  clear();
  memory_->on_full({});
}

size_t PrefixCache::KeyHash::operator()(const Key& key) const {
  uint64_t hash = key.after * 0x9e3779b97f4a7c15;
  for (const TokenMark& mark : key.marks) hash = (hash ^ mark.a ^ mark.b << 1) * 0xff51afd7ed558ccd + (hash >> 29);
  return static_cast<size_t>(hash ^ hash >> 32);
}

PrefixCache::Found PrefixCache::find(std::span<const TokenMark> marks) {
  const auto tokens = static_cast<size_t>(memory_->tokens_per_page());
  Found found;
  std::vector<Entries::iterator> used;
  for (size_t at = 0; at + tokens <= marks.size(); at += tokens) {
    const auto next = marks.subspan(at, tokens);
    const auto known = by_key_.find({found.last, {next.begin(), next.end()}});
    if (known == by_key_.end()) break;
    used.push_back(known->second);
    const Entry& entry = *known->second;
    found.last = entry.name;
    found.names.push_back(entry.name);
    found.pages.push_back(entry.page);
    found.media_hidden.insert(found.media_hidden.end(), entry.media_hidden.begin(), entry.media_hidden.end());
  }
  // The first page is used last: a sequence goes from its end, without which its beginning is still of use.
  for (size_t i = used.size(); i-- > 0;) entries_.splice(entries_.begin(), entries_, used[i]);
  pages_found_ += static_cast<int64_t>(used.size());
  pages_asked_ += static_cast<int64_t>(marks.size() / tokens);
  return found;
}

uint64_t PrefixCache::keep(uint64_t after, std::span<const TokenMark> marks, int32_t page, std::vector<float> media_hidden) {
  const auto [known, added] = by_key_.try_emplace({after, {marks.begin(), marks.end()}});
  if (added) {
    memory_->share(page);
    known->second = entries_.insert(entries_.begin(), {&known->first, ++names_, page, std::move(media_hidden)});
  }
  return known->second->name;
}

void PrefixCache::drop(Entries::iterator entry) {
  memory_->release(entry->page);
  by_key_.erase(*entry->key);
  entries_.erase(entry);
}

void PrefixCache::drop_unused() {
  for (auto entry = entries_.end(); entry != entries_.begin();) {
    if (memory_->holders((--entry)->page) == 1) return drop(entry);
  }
}

void PrefixCache::clear() {
  while (!entries_.empty()) drop(entries_.begin());
}

}  // namespace calliope::engine
