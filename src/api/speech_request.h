#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/speech_format.h"
#include "assistant/request.h"
#include "base/result.h"

namespace calliope::api {

/// What parse_speech needs besides the body.
struct SpeechContext {
  std::span<const std::string> models = {};  ///< names served, the first when none is asked for; empty: any
  std::span<const std::string> voices = {};  ///< that the model has; "default" is always one
};

/// A speech body in our own types.
struct SpeechRequest {
  assistant::Request request;  ///< its id is left to the caller
  std::string model;
  SpeechFormat format = SpeechFormat::mp3;
  double speed = 1;
  bool events = false;  ///< stream_format sse: speech.audio.delta events instead of bare bytes
};

inline constexpr size_t kMostSpeechCharacters = 4096;  ///< OpenAI's limit of input, and of instructions

/// Reads a body of OpenAI's POST /v1/audio/speech. Errors name the field.
Result<SpeechRequest> parse_speech(std::string_view body, const SpeechContext& context);

/// `name` as the engine takes it: empty for "default". not_found's message lists the voices there are.
Result<std::string> known_voice(std::string_view name, std::span<const std::string> voices);

}  // namespace calliope::api
