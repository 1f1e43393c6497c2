#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "engine/meter.h"

namespace calliope::engine {

/// Requests that wait for a place: so many and no more, and fair between users.
class WaitingQueue {
 public:
  struct Waiting {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
    std::shared_ptr<void> held;
    Time submitted{};
    Time deadline = Time::max();  ///< to have a place by
  };

  explicit WaitingQueue(size_t most) : most_(most) {}

  /// Whether one more of this user may wait: one known by name may take half of the queue.
  bool has_room_for(const std::string& user) const;
  void push(Waiting waiting) { waiting_.push_back(std::move(waiting)); }
  size_t size() const { return waiting_.size(); }

  /// The next to get a place when `open` of `places` are taken, `open_of` of them by a user: of whoever has the fewest, those
  /// that are listened to live first, then who came first. One known by name may take three quarters of the places; the
  /// last eighth of them is for those that are listened to live. None: they have to wait.
  std::optional<Waiting> pop(size_t open, size_t places, const std::function<int(const std::string&)>& open_of);

  /// How many go before one that comes now, as far as it is known.
  size_t before(bool live) const;

  /// Takes out those whose deadline has passed.
  std::vector<Waiting> take_late(Time now);
  /// Takes out those whose stop token asks for it; or all.
  std::vector<Waiting> take_stopped();
  std::vector<Waiting> take_all();

 private:
  template <class Condition>
  std::vector<Waiting> take_if(Condition condition);

  size_t most_;
  std::list<Waiting> waiting_;  // as they came
};

}  // namespace calliope::engine
