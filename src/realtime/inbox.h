#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "assistant/engine.h"

namespace calliope::realtime {

/// Carries the events of all requests of one conversation from the engine's thread to the conversation's.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  /// `wake` is called, from the engine's thread, when the first event waits; it must not block.
  explicit Inbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// A sink whose events carry the number of a run.
  std::shared_ptr<assistant::Sink> sink(uint64_t run);
  /// All that wait, oldest first; `wake` tells of the next.
  std::deque<std::pair<uint64_t, assistant::Event>> take();
  /// After this, `wake` is called no more, and not being called either; events are thrown away.
  void close();

 private:
  void push(uint64_t run, assistant::Event event);

  std::mutex mutex_;
  std::deque<std::pair<uint64_t, assistant::Event>> events_;
  std::function<void()> wake_;
  bool closed_ = false;
};

}  // namespace calliope::realtime
