#pragma once

#include "assistant/request.h"
#include "model/log_mel.h"

namespace calliope::engine {

/// A sound as the model's training had them: as loud (sound_peak) and with as much silence around it (sound_margin_ms),
/// where the checkpoint says so. What is all but silent, or was heard live, stays as it is.
assistant::SoundPart prepared(assistant::SoundPart sound, const model::LogMelConfig& config);

}  // namespace calliope::engine
