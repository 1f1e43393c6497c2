#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/chat_request.h"
#include "assistant/request.h"
#include "base/result.h"

namespace calliope::api {

/// How a transcript is written: bare or with where in the sound its parts were said.
enum class TranscriptFormat { json, text, verbose_json, srt, vtt };

/// The formats by name, "json" to "vtt"; unsupported or invalid_argument, with what to use instead.
Result<TranscriptFormat> transcript_format(std::string_view name, std::string_view field);

/// A body of POST /v1/audio/transcriptions in our own types.
struct TranscriptionRequest {
  assistant::SoundPart sound;
  std::string model;
  std::string language = {};  ///< ISO-639-1, in lower case; empty: not told
  std::string prompt = {};
  float temperature = 0;
  TranscriptFormat format = TranscriptFormat::json;
  bool stream = false;
};

struct TranscriptionContext {
  MediaDecoder& decoder;
  std::span<const std::string> models = {};  ///< names served, the first when none is asked for; empty: any
};

/// Reads a form of OpenAI's POST /v1/audio/transcriptions and decodes its file. Fields it does not know are ignored;
/// known ones that ask for what cannot be done are refused. Errors name the field.
Result<TranscriptionRequest> parse_transcription(std::string_view content_type, std::string_view body,
                                                 const TranscriptionContext& context);

}  // namespace calliope::api
