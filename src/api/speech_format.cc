#include "api/speech_format.h"

#include <vector>

#include "assistant/event.h"
#include "media/base64.h"
#include "media/wire_sound.h"

namespace calliope::api {

std::optional<SpeechFormat> speech_format_of(std::string_view name) {
  if (name == "wav") return SpeechFormat::wav;
  if (name == "pcm16" || name == "pcm") return SpeechFormat::pcm16;
  if (name == "mp3") return SpeechFormat::mp3;
  if (name == "opus") return SpeechFormat::opus;
  if (name == "aac") return SpeechFormat::aac;
  if (name == "flac") return SpeechFormat::flac;
  return std::nullopt;
}

std::string_view speech_media_type(SpeechFormat format) {
  switch (format) {
    case SpeechFormat::wav: return "audio/wav";
    case SpeechFormat::pcm16: return "audio/pcm";
    case SpeechFormat::mp3: return "audio/mpeg";
    case SpeechFormat::opus: return "audio/ogg";
    case SpeechFormat::aac: return "audio/aac";
    case SpeechFormat::flac: return "audio/flac";
  }
  return "application/octet-stream";
}

Result<std::vector<uint8_t>> encode_speech(std::span<const float> samples, SpeechFormat format) {
  std::vector<uint8_t> bytes;
  if (format == SpeechFormat::wav) {  // whole, so its size is known
    bytes = media::wav_header(assistant::kSpeechSampleRate, static_cast<uint32_t>(samples.size() * 2));
    media::to_wire(samples, media::WireFormat::pcm16, bytes);
    return bytes;
  }
  TRY(const auto writer, media::SoundWriter::open({.format = format, .rate = assistant::kSpeechSampleRate}));
  TRY_VOID(writer->push(samples, bytes));
  TRY_VOID(writer->finish(bytes));
  return bytes;
}

std::string pcm16_base64(std::span<const float> samples) {
  std::vector<uint8_t> bytes;
  media::to_wire(samples, media::WireFormat::pcm16, bytes);
  return media::encode_base64(bytes);
}

}  // namespace calliope::api
