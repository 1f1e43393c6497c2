#pragma once

#include <cstddef>
#include <vector>

#include "assistant/request.h"
#include "model/log_mel.h"

namespace calliope::engine {

/// What makes a sound as the model's training had them: as loud (sound_peak) and with as much silence around it
/// (sound_margin_ms), where the checkpoint says so.
struct SoundPreparation {
  float gain = 1;
  size_t before = 0, after = 0;  ///< samples of silence to add

  /// What is all but silent, or was heard live, stays as it is.
  static SoundPreparation of(const assistant::Sound& sound, const model::LogMelConfig& config);
  bool changes() const { return gain != 1 || before + after > 0; }
  std::vector<float> apply(const assistant::Sound& sound) const;
};

}  // namespace calliope::engine
