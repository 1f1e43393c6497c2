#pragma once

#include <cstdint>
#include <span>

#include "hearing/voice_detector.h"

namespace calliope::realtime {

/// Follows speech and silence through a sound: mono, 16 kHz, a frame at a time. Positions are samples since the
/// beginning.
class TurnDetector {
 public:
  static constexpr auto kFrame = static_cast<int64_t>(hearing::VoiceDetector::kFrameSamples);
  /// The probability of speech must stay over the threshold for so long, for speech to have begun.
  static constexpr int64_t kOnset = 3 * kFrame;

  explicit TurnDetector(int64_t position) : position_(position) {}

  /// Takes the next kFrame samples. True when speech has begun: at begin(). While it goes on, `threshold` is lower by
  /// 0.15.
  bool push(std::span<const float> frame, double threshold);
  /// The turn is over; what comes next may begin another.
  void end_turn() {
    speaking_ = false;
    run_begin_ = -1;
  }

  bool speaking() const { return speaking_; }
  int64_t position() const { return position_; }
  int64_t begin() const { return begin_; }
  /// Where the last sound of speech so far ends.
  int64_t voice_end() const { return voice_end_; }
  /// How much of the turn was speech, silence between words left out.
  int64_t voiced_samples() const { return voiced_samples_; }

 private:
  hearing::VoiceDetector detector_;
  int64_t position_;
  int64_t run_begin_ = -1;  ///< since when the probability is high
  int64_t begin_ = 0;
  int64_t voice_end_ = 0;
  int64_t voiced_samples_ = 0;
  bool speaking_ = false;
};

}  // namespace calliope::realtime
