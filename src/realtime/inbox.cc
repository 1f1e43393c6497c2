#include "realtime/inbox.h"

namespace calliope::realtime {

std::shared_ptr<assistant::Sink> Inbox::sink(uint64_t run) {
  class Tagged : public assistant::Sink {
   public:
    Tagged(std::shared_ptr<Inbox> inbox, uint64_t run) : inbox_(std::move(inbox)), run_(run) {}
    void on_event(assistant::Event event) override { inbox_->push(run_, std::move(event)); }

   private:
    const std::shared_ptr<Inbox> inbox_;
    const uint64_t run_;
  };
  return std::make_shared<Tagged>(shared_from_this(), run);
}

void Inbox::push(uint64_t run, assistant::Event event) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  const bool first = events_.empty();
  events_.emplace_back(run, std::move(event));
  if (first && wake_) wake_();
}

std::deque<std::pair<uint64_t, assistant::Event>> Inbox::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void Inbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  events_.clear();
  wake_ = nullptr;
}

}  // namespace calliope::realtime
