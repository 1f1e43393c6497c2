#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "assistant/engine_stats.h"
#include "realtime/memory_budget.h"

namespace calliope::server {

/// What the server counts beside what the engine counts (assistant::EngineStats). Any thread.
///
/// Labels come from fixed lists, never from what a client sent, so that nobody can make many of them.
class Metrics {
 public:
  /// One HTTP request that is over. `route` is of route_label().
  void request(std::string_view route, std::string_view method, int status, double seconds);
  /// An error that a client was told, in an answer, a stream or a Realtime event: its `code`, or its `type` without one.
  void error(std::string_view code);
  /// An answer of the engine that is over, by the API it was asked with ("chat", "realtime") and how it ended.
  void answer(std::string_view api, std::string_view outcome);

  std::atomic<int64_t> connections = 0;           ///< open now
  std::atomic<uint64_t> connections_refused = 0;  ///< there were too many
  std::atomic<int64_t> realtime_sessions = 0;     ///< open now
  std::atomic<uint64_t> realtime_sessions_opened = 0;

  /// All of it, and what the engine and this process say, as Prometheus reads it.
  std::string text(const assistant::EngineStats& engine, const realtime::MemoryBudget& memory, bool ready) const;

 private:
  using Pair = std::pair<std::string, std::string>;
  struct Request {
    std::string route, method;
    int status;
    auto operator<=>(const Request&) const = default;
  };

  mutable std::mutex mutex_;
  std::map<Request, uint64_t> requests_;
  std::map<std::string, assistant::SecondsHistogram> request_seconds_;  // by route
  std::map<std::string, uint64_t> errors_;
  std::map<Pair, uint64_t> answers_;
};

/// The name of a path in metrics: the path itself when the API has it, "page" for files of the page, else "other".
std::string_view route_label(std::string_view path);

}  // namespace calliope::server
