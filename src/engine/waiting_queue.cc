#include "engine/waiting_queue.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace calliope::engine {

assistant::LiveSoundPart live_sound(const assistant::Request& request) {
  for (const auto& turn : request.turns) {
    for (const auto& part : turn.parts) {
      if (const auto* live = std::get_if<assistant::LiveSoundPart>(&part)) return *live;
    }
  }
  return nullptr;
}

void WaitingQueue::push(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop,
                        std::shared_ptr<void> held, Time now) {
  auto live = live_sound(request);
  if (live && live->size().ended) live.reset();
  waiting_.push_back({std::move(request), std::move(sink), std::move(stop), std::move(held), std::move(live), now});
}

bool WaitingQueue::has_room_for(const std::string& user) const {
  if (waiting_.size() >= most_) return false;
  if (user.empty()) return true;
  const auto his = std::ranges::count(waiting_, user, [](const Waiting& waiting) { return waiting.request.user; });
  return static_cast<size_t>(his) < std::max<size_t>(1, most_ / 2);
}

std::optional<WaitingQueue::Waiting> WaitingQueue::pop(size_t open, size_t places, const std::function<int(const std::string&)>& open_of) {
  if (open >= places) return std::nullopt;
  const bool live_only = open >= places - places / 8;
  const auto most_of_a_user = static_cast<int>(std::max<size_t>(1, places - places / 4));
  auto best = waiting_.end();
  std::tuple<int, bool> best_rank;
  for (auto waiting = waiting_.begin(); waiting != waiting_.end(); ++waiting) {
    const assistant::Request& request = waiting->request;
    const int his = open_of(request.user);
    if (live_only && !request.live) continue;
    if (!request.user.empty() && his >= most_of_a_user) continue;
    const std::tuple rank(his, !request.live);
    if (best != waiting_.end() && rank >= best_rank) continue;
    best = waiting;
    best_rank = rank;
  }
  if (best == waiting_.end()) return std::nullopt;
  Waiting next = std::move(*best);
  waiting_.erase(best);
  return next;
}

size_t WaitingQueue::before(bool live) const {
  if (!live) return waiting_.size();
  return static_cast<size_t>(std::ranges::count_if(waiting_, [](const Waiting& waiting) { return waiting.request.live; }));
}

template <class Condition>
std::vector<WaitingQueue::Waiting> WaitingQueue::take_if(Condition condition) {
  std::vector<Waiting> taken;
  std::erase_if(waiting_, [&](Waiting& waiting) {
    if (!condition(waiting)) return false;
    taken.push_back(std::move(waiting));
    return true;
  });
  return taken;
}

std::vector<WaitingQueue::Waiting> WaitingQueue::take_stopped() {
  return take_if([](const Waiting& waiting) { return waiting.stop.stop_requested(); });
}

std::vector<WaitingQueue::Waiting> WaitingQueue::take_late(Time now) {
  for (Waiting& waiting : waiting_) {
    if (!waiting.speaking || !waiting.speaking->size().ended) continue;
    waiting.speaking.reset();
    waiting.asked = now;
  }
  return take_if([now](const Waiting& waiting) { return waiting.late(now); });
}

std::vector<WaitingQueue::Waiting> WaitingQueue::take_all() {
  std::vector<Waiting> all(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  return all;
}

}  // namespace calliope::engine
