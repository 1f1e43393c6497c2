#pragma once

#include <cstdint>

#include "assistant/event.h"
#include "engine/meter.h"

namespace calliope::engine {

/// How far a listener has come who plays an answer as it arrives: from its first samples on at real speed, and where they run
/// dry he waits for more.
class PlaybackClock {
 public:
  /// More was sent. Returns the seconds the listener has waited for it since he ran dry; 0: he had not, or had not begun.
  double sent(int64_t samples, Time now) {
    const double gap = begun_ && now > dry_at_ ? seconds_between(dry_at_, now) : 0;
    if (!begun_ || now > dry_at_) dry_at_ = now;
    begun_ = true;
    dry_at_ = after(dry_at_, double(samples) / assistant::kSpeechSampleRate);
    return gap;
  }
  bool begun() const { return begun_; }
  /// Seconds of sound he has in hand; negative: he has been waiting.
  double ahead_s(Time now) const { return seconds_between(now, dry_at_); }

 private:
  bool begun_ = false;
  Time dry_at_{};
};

}  // namespace calliope::engine
