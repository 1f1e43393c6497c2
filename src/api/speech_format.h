#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::api {

/// How a spoken answer is packed. pcm16: bare little-endian 16-bit mono at assistant::kSpeechSampleRate.
enum class SpeechFormat { wav, pcm16, mp3, opus, flac };

/// The format of this name in OpenAI's API.
std::optional<SpeechFormat> speech_format_of(std::string_view name);

/// Whether this build can write the format.
bool can_encode(SpeechFormat format);

/// Packs mono samples at assistant::kSpeechSampleRate. Errors: unsupported, when can_encode says no.
Result<std::vector<uint8_t>> encode_speech(std::span<const float> samples, SpeechFormat format);

/// Base64 of little-endian 16-bit samples: what a stream carries.
std::string pcm16_base64(std::span<const float> samples);

}  // namespace calliope::api
