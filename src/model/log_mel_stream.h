#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/log_mel.h"

namespace calliope::model {

/// Log-mel features of one sound that comes piece by piece. When it has ended they are those LogMel::compute gives, bit for
/// bit. Until then there are the frames that no further sample changes; but what is quiet in them is raised to 8 below the
/// loudest so far, so it changes when something louder comes.
class LogMelStream {
 public:
  /// `mel` must outlive it.
  explicit LogMelStream(const LogMel& mel) : mel_(&mel) {}

  /// More of the sound. invalid_argument when a sample is not finite.
  Result<void> append(std::span<const float> samples);
  int64_t samples() const { return static_cast<int64_t>(samples_.size()); }
  std::span<const float> sound() const { return samples_; }

  /// Computes at most `most` of the frames that are certain; false when there was none to compute.
  bool step(int64_t most);

  /// No more samples come, and the longest sound of the prompt has `padded_samples`: the last frames. step() must have
  /// nothing left. May be called again with another length. invalid_argument when the sound is too short.
  Result<void> end(int64_t padded_samples);
  /// Back to the frames that are certain.
  void reopen();

  int64_t frames() const { return frames_; }
  /// How many frames no further sample changes.
  int64_t certain_frames() const;
  /// The largest energy so far, in padding as well once the sound has ended.
  float loudest() const { return loudest_; }
  /// Features of frames [first, first + out.rows), scaled by `loudest`: [frames, mels].
  void features(int64_t first, float loudest, tensor::Rows out) const;

 private:
  const LogMel* mel_;
  std::vector<float> samples_;
  std::vector<float> energies_;  // [certain, then last frames, mels]
  int64_t certain_ = 0, frames_ = 0;
  static constexpr float kSilence = -std::numeric_limits<float>::infinity();
  float loudest_certain_ = kSilence, loudest_ = kSilence;
};

}  // namespace calliope::model
