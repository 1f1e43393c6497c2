#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace calliope::hearing {

/// Tells how likely it is that somebody speaks, every 20 ms. Looks at how far ten bands rise above their own noise, at
/// how periodic the sound is and how its spectrum slopes; a logistic regression weighs these. Voices in the background
/// are voices to it.
class VoiceDetector {
 public:
  static constexpr int kSampleRate = 16000;
  static constexpr size_t kFrameSamples = 320;

  VoiceDetector();
  ~VoiceDetector();

  /// Takes the next kFrameSamples samples; gives the probability of speech at their end, in [0, 1].
  float push(std::span<const float> frame);

 private:
  static constexpr size_t kWindow = 512, kBins = kWindow / 2 + 1, kBands = 10;
  struct Transforms;
  void follow_noise(const std::array<float, kBands>& energy_db, float total_db);

  std::unique_ptr<Transforms> transforms_;
  std::array<float, kWindow> window_{};  ///< the newest samples
  std::array<float, kBands> noise_db_{};
  float total_db_ = 0;
  float unrest_db_ = 10;  ///< how much the loudness changes from frame to frame, on average
  float smoothed_ = 0;
  int frames_ = 0;
};

}  // namespace calliope::hearing
