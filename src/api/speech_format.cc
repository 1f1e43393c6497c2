#include "api/speech_format.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "assistant/event.h"
#include "media/base64.h"

namespace calliope::api {

namespace {

std::vector<uint8_t> pcm16(std::span<const float> samples) {
  std::vector<uint8_t> bytes;
  bytes.reserve(samples.size() * 2);
  for (const float sample : samples) {
    const auto value = static_cast<int16_t>(std::lrint(std::clamp(sample, -1.0f, 1.0f) * 32767.0f));
    bytes.push_back(static_cast<uint8_t>(value & 0xff));
    bytes.push_back(static_cast<uint8_t>(value >> 8 & 0xff));
  }
  return bytes;
}

/// The header of a RIFF file of mono 16-bit samples.
std::vector<uint8_t> wav_header(size_t data_bytes) {
  std::vector<uint8_t> bytes;
  const auto word = [&](const char* text) { bytes.insert(bytes.end(), text, text + 4); };
  const auto number = [&](size_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<uint8_t>(value >> 8 * i & 0xff));
  };
  word("RIFF");
  number(36 + data_bytes, 4);
  word("WAVE");
  word("fmt ");
  number(16, 4);
  number(1, 2);  // PCM
  number(1, 2);  // mono
  number(assistant::kSpeechSampleRate, 4);
  number(assistant::kSpeechSampleRate * 2, 4);
  number(2, 2);   // bytes a frame
  number(16, 2);  // bits a sample
  word("data");
  number(data_bytes, 4);
  return bytes;
}

}  // namespace

std::optional<SpeechFormat> speech_format_of(std::string_view name) {
  if (name == "wav") return SpeechFormat::wav;
  if (name == "pcm16") return SpeechFormat::pcm16;
  if (name == "mp3") return SpeechFormat::mp3;
  if (name == "opus") return SpeechFormat::opus;
  if (name == "flac") return SpeechFormat::flac;
  return std::nullopt;
}

bool can_encode(SpeechFormat format) { return format == SpeechFormat::wav || format == SpeechFormat::pcm16; }

Result<std::vector<uint8_t>> encode_speech(std::span<const float> samples, SpeechFormat format) {
  std::vector<uint8_t> data = pcm16(samples);
  if (format == SpeechFormat::pcm16) return data;
  if (format == SpeechFormat::wav) {
    const std::vector<uint8_t> header = wav_header(data.size());
    data.insert(data.begin(), header.begin(), header.end());
    return data;
  }
  return fail(ErrorCode::unsupported, "this build cannot write this sound format");
}

std::string pcm16_base64(std::span<const float> samples) { return media::encode_base64(pcm16(samples)); }

}  // namespace calliope::api
