#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace calliope::hearing {

/// Samples [begin, end) of a sound.
struct Stretch {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Stretch&) const = default;
};

struct CutOptions {
  int64_t most_samples = 30 * 16000;  ///< no stretch is longer
  /// Speech goes on in the same stretch after silences up to this, if there is room.
  int64_t join_samples = 3 * 16000;
};

/// Where somebody speaks in a mono sound at 16 kHz, in order and apart, with up to a quarter of a second of what is
/// around it. A sound that fits into one stretch is never given up for being quiet: one in which no speech is found is
/// one stretch, unless there is nothing to hear at all. Speech without a silence is cut where it is least loud.
std::vector<Stretch> cut_at_silences(std::span<const float> samples, const CutOptions& options);

}  // namespace calliope::hearing
