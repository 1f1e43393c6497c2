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

/// The sound of a request that is being recorded, or was; null: it has none.
assistant::LiveSoundPart live_sound(const assistant::Request& request);

/// Requests that wait for a place: so many and no more, and fair between users.
class WaitingQueue {
 public:
  struct Waiting {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
    std::shared_ptr<void> held;
    assistant::LiveSoundPart speaking;  ///< its sound that is still being recorded, as far as is known
    Time asked{};                       ///< when it came, or when its live sound ended
    /// It has waited for longer than it may. While somebody speaks he does not wait yet.
    bool late(Time now) const { return !speaking && request.max_wait_s > 0 && now > after(asked, request.max_wait_s); }
  };

  explicit WaitingQueue(size_t most) : most_(most) {}

  /// Whether one more of this user may wait: one known by name may take half of the queue.
  bool has_room_for(const std::string& user) const;
  void push(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop,
            std::shared_ptr<void> held, Time now);
  size_t size() const { return waiting_.size(); }

  /// The next to get a place when `open` of `places` are taken, `open_of` of them by a user: of whoever has the fewest, those
  /// that are listened to live first, then who came first. One known by name may take three quarters of the places; the
  /// last eighth of them is for those that are listened to live. None: they have to wait.
  std::optional<Waiting> pop(size_t open, size_t places, const std::function<int(const std::string&)>& open_of);

  /// How many go before one that comes now, as far as it is known.
  size_t before(bool live) const;

  /// Takes out those that are late. Whose live sound has ended since the last call is taken to wait from now on.
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
