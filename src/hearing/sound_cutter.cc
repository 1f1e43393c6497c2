#include "hearing/sound_cutter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "hearing/voice_detector.h"

namespace calliope::hearing {

namespace {

constexpr auto kFrame = static_cast<int64_t>(VoiceDetector::kFrameSamples);
constexpr float kOn = 0.5f, kOff = 0.3f;         ///< of the probability of speech
constexpr int64_t kShortestSpeech = 3 * kFrame;  ///< less is a click
constexpr int64_t kWithinWord = 15 * kFrame;     ///< a silence this short is part of what is said
constexpr int64_t kMargin = 4000;                ///< of what is around speech
constexpr float kNothingToHear = 1e-3f;          ///< -60 dB of the loudest there can be

using Frame = std::array<float, VoiceDetector::kFrameSamples>;

int64_t frames_of(std::span<const float> samples) {
  return (static_cast<int64_t>(samples.size()) + kFrame - 1) / kFrame;
}

/// Frame number i; what is missing of the last one is silence.
Frame frame_of(std::span<const float> samples, int64_t i) {
  Frame frame{};
  const auto from = samples.subspan(static_cast<size_t>(i * kFrame));
  std::ranges::copy(from.first(std::min(from.size(), frame.size())), frame.begin());
  return frame;
}

std::vector<float> energies(std::span<const float> samples) {
  std::vector<float> energy(static_cast<size_t>(frames_of(samples)));
  for (size_t i = 0; i < energy.size(); ++i) {
    for (const float sample : frame_of(samples, static_cast<int64_t>(i))) energy[i] += sample * sample;
  }
  return energy;
}

/// Where the detector hears speech. It first hears the quietest frames, or a sound that begins with speech would pass
/// for a noisy room.
std::vector<Stretch> speech(std::span<const float> samples, const std::vector<float>& energy) {
  constexpr int kLeadIn = 15;
  VoiceDetector detector;
  const auto quietest = std::ranges::min_element(energy) - energy.begin();
  for (int i = 0; i < kLeadIn; ++i) detector.push(frame_of(samples, quietest));
  std::vector<Stretch> found;
  bool speaking = false;
  for (int64_t i = 0; i < frames_of(samples); ++i) {
    const bool before = std::exchange(speaking, detector.push(frame_of(samples, i)) > (speaking ? kOff : kOn));
    const int64_t begin = i * kFrame, end = std::min(begin + kFrame, static_cast<int64_t>(samples.size()));
    if (!speaking) continue;
    if (before)
      found.back().end = end;
    else
      found.push_back({begin, end});
  }
  std::vector<Stretch> joined;
  for (const Stretch& one : found) {
    if (!joined.empty() && one.begin - joined.back().end <= kWithinWord)
      joined.back().end = one.end;
    else
      joined.push_back(one);
  }
  std::erase_if(joined, [](const Stretch& one) { return one.size() < kShortestSpeech; });
  return joined;
}

/// Takes in what is around, at most half of the silence to the neighbour.
void widen(std::vector<Stretch>& stretches, int64_t size) {
  for (size_t i = 0; i < stretches.size(); ++i) {
    const int64_t after =
        i + 1 < stretches.size() ? (stretches[i + 1].begin - stretches[i].end) / 2 : size - stretches[i].end;
    if (i == 0) stretches[i].begin = std::max<int64_t>(0, stretches[i].begin - kMargin);
    if (i + 1 < stretches.size()) stretches[i + 1].begin -= std::min(kMargin, after);
    stretches[i].end += std::min(kMargin, after);
  }
}

/// Pieces of one stretch, cut in the second half of what may be taken, where a tenth of a second is least loud.
void split(Stretch stretch, const std::vector<float>& energy, int64_t most, std::vector<Stretch>& out) {
  constexpr int64_t kAround = 2;
  while (stretch.size() > most) {
    const int64_t first = (stretch.begin + most / 2) / kFrame + 1;
    const int64_t last = std::max(first, std::min(stretch.begin + most, stretch.end - most / 8) / kFrame);
    int64_t best = last;
    float least = std::numeric_limits<float>::max();
    for (int64_t i = first; i <= last; ++i) {
      float loudness = 0;
      for (int64_t k = std::max<int64_t>(0, i - kAround);
           k < std::min(i + kAround, static_cast<int64_t>(energy.size())); ++k) {
        loudness += energy[static_cast<size_t>(k)];
      }
      if (loudness < least) {
        least = loudness;
        best = i;
      }
    }
    out.push_back({stretch.begin, best * kFrame});
    stretch.begin = best * kFrame;
  }
  out.push_back(stretch);
}

}  // namespace

std::vector<Stretch> cut_at_silences(std::span<const float> samples, const CutOptions& options) {
  CHECK(options.most_samples >= 4 * kFrame);
  const auto size = static_cast<int64_t>(samples.size());
  const auto audible = [](float sample) { return std::abs(sample) > kNothingToHear; };
  if (std::ranges::none_of(samples, audible)) return {};
  const std::vector<float> energy = energies(samples);
  std::vector<Stretch> spoken = speech(samples, energy);
  if (spoken.empty() && size <= options.most_samples) return {{0, size}};
  widen(spoken, size);
  std::vector<Stretch> stretches;
  for (const Stretch& one : spoken) {
    if (!stretches.empty() &&
        one.begin - stretches.back().end <= std::max<int64_t>(0, options.join_samples - 2 * kMargin) &&
        one.end - stretches.back().begin <= options.most_samples) {
      stretches.back().end = one.end;
    } else {
      split(one, energy, options.most_samples, stretches);
    }
  }
  return stretches;
}

}  // namespace calliope::hearing
