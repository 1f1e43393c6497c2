#include "server/spoken_answer_store.h"

namespace calliope::server {

void SpokenAnswerStore::remember(const std::string& audio_id, std::string transcript, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (entries_.contains(audio_id)) return;
  bytes_ += transcript.size();
  entries_.emplace(audio_id, Entry{std::move(transcript), now + kept_});
  order_.push_back(audio_id);
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    const bool expired = oldest->second.until <= now;
    if (!expired && order_.size() <= kMost && bytes_ <= kMostBytes) break;
    bytes_ -= oldest->second.transcript.size();
    entries_.erase(oldest);
    order_.pop_front();
  }
}

std::optional<std::string> SpokenAnswerStore::transcript(std::string_view audio_id) const {
  return transcript(audio_id, Clock::now());
}

std::optional<std::string> SpokenAnswerStore::transcript(std::string_view audio_id, Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(audio_id);
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  return found->second.transcript;
}

}  // namespace calliope::server
