#pragma once

#include <chrono>
#include <functional>

#include "assistant/engine_stats.h"

namespace calliope::engine {

using Time = std::chrono::steady_clock::time_point;

inline double seconds_between(Time from, Time to) { return std::chrono::duration<double>(to - from).count(); }
inline Time after(Time time, double seconds) {
  return time + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
}

/// The engine thread's clock, and where it counts what it does.
struct Meter {
  std::function<Time()> now = std::chrono::steady_clock::now;
  assistant::EngineStats stats = {};
};

}  // namespace calliope::engine
