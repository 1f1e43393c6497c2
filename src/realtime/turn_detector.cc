#include "realtime/turn_detector.h"

namespace calliope::realtime {

bool TurnDetector::push(std::span<const float> frame, double threshold) {
  constexpr double kHysteresis = 0.15;
  const double probability = detector_.push(frame);
  position_ += kFrame;
  if (probability <= (speaking_ ? threshold - kHysteresis : threshold)) {
    run_begin_ = -1;
    return false;
  }
  if (run_begin_ < 0) run_begin_ = position_ - kFrame;
  if (speaking_) {
    voiced_samples_ += kFrame;
    voice_end_ = position_;
    return false;
  }
  if (position_ - run_begin_ < kOnset) return false;
  speaking_ = true;
  begin_ = run_begin_;
  voiced_samples_ = position_ - run_begin_;
  voice_end_ = position_;
  return true;
}

}  // namespace calliope::realtime
