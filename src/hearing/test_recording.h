// A sound with speech and silence in it, for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

namespace calliope::hearing {

/// Something a voice detector takes for speech: a buzz with two formants, syllable after syllable; gain 0: a quiet
/// room.
class Recording {
 public:
  static constexpr int kRate = 16000;
  Recording& add(double seconds, float gain = 0) {
    for (int64_t left = std::llround(seconds * kRate); left > 0; --left) {
      const double t = static_cast<double>(samples.size()) / kRate;
      const double pitch = 120 + 10 * std::sin(2 * std::numbers::pi * 3 * t);
      phase_ += 2 * std::numbers::pi * pitch / kRate;
      double value = 0;
      for (int k = 1; gain > 0 && k < 30; ++k) {
        const double hz = k * pitch;
        value += (std::exp(-std::pow((hz - 600) / 200, 2)) + 0.5 * std::exp(-std::pow((hz - 1500) / 300, 2))) *
                 std::sin(k * phase_);
      }
      samples.push_back(noise_(random_) +
                        gain * static_cast<float>(value * (0.65 + 0.35 * std::sin(2 * std::numbers::pi * 5 * t))));
    }
    return *this;
  }
  std::vector<float> samples;

 private:
  std::mt19937 random_{7};
  std::normal_distribution<float> noise_{0, 4e-4f};
  double phase_ = 0;
};

}  // namespace calliope::hearing
