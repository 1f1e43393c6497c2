#include "engine/sound_preparation.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace calliope::engine {

assistant::SoundPart prepared(assistant::SoundPart sound, const model::LogMelConfig& config) {
  constexpr float kSilent = 1e-3f, kMostGain = 40;
  constexpr float kQuiet = 0.03f;  // of the peak: 30 dB below
  if (sound->live || (config.sound_peak == 0 && config.sound_margin_ms == 0)) return sound;
  const std::vector<float>& samples = sound->samples;
  float peak = 0;
  for (const float sample : samples) peak = std::max(peak, std::abs(sample));
  if (!(peak > kSilent) || !std::isfinite(peak)) return sound;
  const float gain = config.sound_peak > 0 ? std::min(kMostGain, config.sound_peak / peak) : 1;
  const auto loud = [&](float sample) { return std::abs(sample) > kQuiet * peak; };
  const auto first = std::ranges::find_if(samples, loud) - samples.begin();
  const auto after = std::find_if(samples.rbegin(), samples.rend(), loud) - samples.rbegin();
  const int64_t margin = config.sound_margin_ms * assistant::Sound::kSampleRate / 1000;
  const auto missing = [&](int64_t quiet) { return static_cast<size_t>(std::max<int64_t>(0, margin - quiet)); };
  auto result = std::make_shared<assistant::Sound>();
  result->samples.reserve(samples.size() + 2 * static_cast<size_t>(margin));
  result->samples.resize(missing(first));
  for (const float sample : samples) result->samples.push_back(gain * sample);
  result->samples.resize(result->samples.size() + missing(after));
  return result;
}

}  // namespace calliope::engine
