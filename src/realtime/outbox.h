#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "api/realtime_types.h"

namespace calliope::realtime {

namespace wire = api::realtime;

/// Events on their way to the client, oldest first. What was taken out has left; what is still in can be dropped.
class Outbox {
 public:
  void push(wire::ServerEvent event);
  std::optional<wire::ServerEvent> pop();
  /// Takes back the sound of a response that has not left yet.
  void drop_audio(std::string_view response_id);

  bool empty() const { return events_.empty(); }
  /// Roughly what the events take.
  size_t bytes() const { return bytes_; }

 private:
  std::deque<wire::ServerEvent> events_;
  size_t bytes_ = 0;
};

}  // namespace calliope::realtime
