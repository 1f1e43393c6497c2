#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/sound_writer.h"

namespace calliope::api {

/// How a spoken answer is packed: mono at assistant::kSpeechSampleRate.
using SpeechFormat = media::SoundFormat;

/// The format of this name in OpenAI's API; "pcm" and "pcm16" are the same.
std::optional<SpeechFormat> speech_format_of(std::string_view name);
/// audio/mpeg and so on.
std::string_view speech_media_type(SpeechFormat format);

/// Packs mono samples at assistant::kSpeechSampleRate. Errors as media::SoundWriter.
Result<std::vector<uint8_t>> encode_speech(std::span<const float> samples, SpeechFormat format);

/// Base64 of little-endian 16-bit samples: what a stream carries.
std::string pcm16_base64(std::span<const float> samples);

}  // namespace calliope::api
