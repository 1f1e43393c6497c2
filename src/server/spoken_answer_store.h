#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "api/chat_request.h"

namespace calliope::server {

/// Transcripts of spoken answers for as long as they are kept, newest last; at most `kMost` and kMostBytes of them.
class SpokenAnswerStore : public api::SpokenAnswers {
 public:
  static constexpr size_t kMost = 10'000;
  static constexpr size_t kMostBytes = 32u << 20;
  using Clock = std::chrono::steady_clock;

  explicit SpokenAnswerStore(std::chrono::seconds kept) : kept_(kept) {}

  void remember(const std::string& audio_id, std::string transcript, Clock::time_point now = Clock::now());
  std::optional<std::string> transcript(std::string_view audio_id) const override;
  std::optional<std::string> transcript(std::string_view audio_id, Clock::time_point now) const;

 private:
  struct Entry {
    std::string transcript;
    Clock::time_point until;
  };
  const std::chrono::seconds kept_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::deque<std::string> order_;
  size_t bytes_ = 0;
};

}  // namespace calliope::server
