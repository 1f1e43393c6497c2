#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "assistant/engine_stats.h"
#include "base/result.h"

namespace calliope::engine {

using Time = std::chrono::steady_clock::time_point;

inline double seconds_between(Time from, Time to) { return std::chrono::duration<double>(to - from).count(); }
inline Time after(Time time, double seconds) {
  return time + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
}

/// What a request is told that may not wait so long, or has. `seconds`: when to come again.
inline Error too_late(const std::string& why, double seconds) {
  const int retry = static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 60.0));
  return {ErrorCode::unavailable,
          "The server is busy: " + why + " Try again in " + std::to_string(retry) + (retry == 1 ? " second." : " seconds."),
          {},
          retry};
}
/// Seconds as people write them: 12, 2.5.
inline std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", std::round(seconds * 100) / 100);
  return text;
}

/// The engine thread's clock, and where it counts what it does.
struct Meter {
  std::function<Time()> now = std::chrono::steady_clock::now;
  assistant::EngineStats stats = {};
};

}  // namespace calliope::engine
