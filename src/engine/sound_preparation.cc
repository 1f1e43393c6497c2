#include "engine/sound_preparation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace calliope::engine {
namespace {

// Several maxima beside each other, as one would wait for itself with every sample.
float peak_of(std::span<const float> samples) {
  std::array<float, 16> peaks{};
  size_t i = 0;
  for (; i + peaks.size() <= samples.size(); i += peaks.size()) {
    for (size_t k = 0; k < peaks.size(); ++k) peaks[k] = std::max(peaks[k], std::abs(samples[i + k]));
  }
  float peak = std::ranges::max(peaks);
  for (; i < samples.size(); ++i) peak = std::max(peak, std::abs(samples[i]));
  return peak;
}

}  // namespace

SoundPreparation SoundPreparation::of(const assistant::Sound& sound, const model::LogMelConfig& config) {
  constexpr float kSilent = 1e-3f, kMostGain = 40;
  constexpr float kQuiet = 0.03f;  // of the peak: 30 dB below
  if (sound.live || (config.sound_peak == 0 && config.sound_margin_ms == 0)) return {};
  const std::vector<float>& samples = sound.samples;
  const float peak = peak_of(samples);
  if (!(peak > kSilent) || !std::isfinite(peak)) return {};
  const auto loud = [&](float sample) { return std::abs(sample) > kQuiet * peak; };
  const auto first = std::ranges::find_if(samples, loud) - samples.begin();
  const auto after = std::find_if(samples.rbegin(), samples.rend(), loud) - samples.rbegin();
  const int64_t margin = config.sound_margin_ms * assistant::Sound::kSampleRate / 1000;
  const auto missing = [&](int64_t quiet) { return static_cast<size_t>(std::max<int64_t>(0, margin - quiet)); };
  return {.gain = config.sound_peak > 0 ? std::min(kMostGain, config.sound_peak / peak) : 1,
          .before = missing(first),
          .after = missing(after)};
}

std::vector<float> SoundPreparation::apply(const assistant::Sound& sound) const {
  std::vector<float> made(before + sound.samples.size() + after);
  std::ranges::transform(sound.samples, made.begin() + static_cast<std::ptrdiff_t>(before),
                         [this](float sample) { return gain * sample; });
  return made;
}

}  // namespace calliope::engine
