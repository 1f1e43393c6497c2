#pragma once

#include <optional>
#include <string>

#include "api/json_reader.h"
#include "api/realtime_types.h"

namespace calliope::api::realtime {

// What a session does with the sound it hears; null turns each off.
/// What is left out stays as it was `before`.
Result<TurnDetection> parse_turn_detection(const JsonReader& json, const TurnDetection& before);
Result<std::optional<Transcription>> parse_transcription(const JsonReader& json);
Result<std::string> parse_noise_reduction(const JsonReader& json);

}  // namespace calliope::api::realtime
