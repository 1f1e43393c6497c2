#include "server/event_queue.h"

namespace calliope::server {

namespace {

size_t weight(const assistant::Event& event) {
  constexpr size_t kOverhead = 64;
  if (const auto* text = std::get_if<assistant::TextDelta>(&event)) return kOverhead + text->text.size();
  if (const auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
    return kOverhead + audio->samples.size() * sizeof(float);
  }
  if (const auto* called = std::get_if<assistant::ToolCalled>(&event)) return kOverhead + called->call.arguments.size();
  if (std::holds_alternative<assistant::Finished>(event) || std::holds_alternative<assistant::Failed>(event)) {
    return 0;  // the last event always fits
  }
  return kOverhead;
}

}  // namespace

void EventQueue::on_event(assistant::Event event) {
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    const size_t bytes = weight(event);
    if (bytes != 0 && (overflowed_ || bytes_ + bytes > most_bytes_)) {
      cancel = !overflowed_.exchange(true);
    } else {
      bytes_ += bytes;
      events_.push_back(std::move(event));
    }
    if (wake_) wake_();
  }
  if (cancel) stop_.request_stop();
}

std::optional<assistant::Event> EventQueue::pop() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  std::optional<assistant::Event> event(std::move(events_.front()));
  events_.pop_front();
  bytes_ -= weight(*event);
  return event;
}

void EventQueue::attach(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
  if (!events_.empty() || overflowed_) wake_();
}

void EventQueue::detach() {
  const std::lock_guard lock(mutex_);
  wake_ = nullptr;
}

}  // namespace calliope::server
