#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

#include "assistant/engine.h"

namespace calliope::server {

/// Carries one request's events from the engine's thread to the connection's. Never blocks the engine: when the reader
/// leaves more than `most_bytes` waiting, the request is cancelled and what comes after is dropped.
class EventQueue : public assistant::Sink {
 public:
  EventQueue(size_t most_bytes, std::stop_source stop) : most_bytes_(most_bytes), stop_(std::move(stop)) {}

  void on_event(assistant::Event event) override;
  /// More than half of that is waiting.
  bool full() const override {
    const std::lock_guard lock(mutex_);
    return bytes_ > most_bytes_ / 2;
  }

  /// The oldest event, if there is one.
  std::optional<assistant::Event> pop();
  bool overflowed() const { return overflowed_; }

  /// `wake` is called from the engine's thread after an event came; it must not block.
  void attach(std::function<void()> wake);
  /// After this, `wake` is called no more, and not being called either.
  void detach();

 private:
  const size_t most_bytes_;
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::deque<assistant::Event> events_;
  size_t bytes_ = 0;
  std::atomic<bool> overflowed_ = false;
  std::function<void()> wake_;
};

}  // namespace calliope::server
