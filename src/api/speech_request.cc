#include "api/speech_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/json_reader.h"
#include "api/model_name.h"

namespace calliope::api {
namespace {

Result<std::string> text(const JsonReader& field) {
  TRY(const std::string_view value, field.string());
  const auto characters = static_cast<size_t>(
      std::ranges::count_if(value, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  if (characters > kMostSpeechCharacters) {
    return std::unexpected(
        field.value_error(fmt::format("at most {} characters are read at once, these are {}; send them in parts.",
                                      kMostSpeechCharacters, characters)));
  }
  return std::string(value);
}

Result<std::string> voice(const JsonReader& field, std::span<const std::string> voices) {
  if (field.missing()) return std::string();  // OpenAI requires one; here the model's own stands in
  const JsonReader name = field.is_object() ? field.member("id") : field;
  if (!name.is_string())
    return std::unexpected(name.missing() ? name.missing_error() : name.type_error("a string or an object with an id"));
  TRY(const std::string_view asked, name.string());
  auto known = known_voice(asked, voices);
  if (!known) return std::unexpected(name.value_error(known.error().message));
  return known;
}

}  // namespace

Result<std::string> known_voice(std::string_view name, std::span<const std::string> voices) {
  std::string small(name);
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (small == "default") return std::string();
  if (std::ranges::find(voices, small) != voices.end()) return small;
  std::string list = "default";
  for (const std::string& voice : voices) {
    if (voice != "default") list += ", " + voice;
  }
  return fail(ErrorCode::not_found,
              fmt::format("there is no voice '{}'; this model has: {}.", name.substr(0, 100), list), "voice");
}

Result<SpeechRequest> parse_speech(std::string_view body, const SpeechContext& context) {
  TRY(const boost::json::value document, parse_json(body));
  const JsonReader root(&document);
  if (!root.is_object()) return std::unexpected(root.type_error("a JSON object"));

  SpeechRequest result;
  TRY(result.model, served_model(root.member("model"), context.models));
  const JsonReader input = root.member("input");
  if (input.missing()) return std::unexpected(input.missing_error());
  TRY(result.request.read_aloud, text(input));
  if (result.request.read_aloud.empty())
    return std::unexpected(input.value_error("there is nothing to read: it is empty."));
  TRY(result.request.voice, voice(root.member("voice"), context.voices));
  if (const JsonReader field = root.member("instructions"); !field.missing()) {
    TRY(std::string instructions, text(field));
    if (!instructions.empty()) result.request.turns.push_back({assistant::Role::user, {std::move(instructions)}});
  }
  if (const JsonReader field = root.member("response_format"); !field.missing()) {
    TRY(const std::string_view name, field.string());
    const auto format = speech_format_of(name);
    if (!format)
      return std::unexpected(field.value_error("expected one of 'mp3', 'opus', 'aac', 'flac', 'wav' and 'pcm'."));
    result.format = *format;
  }
  if (const JsonReader field = root.member("speed"); !field.missing()) {
    TRY(result.speed, field.number(media::SoundWriter::kSlowest, media::SoundWriter::kFastest));
  }
  if (const JsonReader field = root.member("stream_format"); !field.missing()) {
    TRY(const std::string_view name, field.string());
    if (name != "audio" && name != "sse") return std::unexpected(field.value_error("expected 'audio' or 'sse'."));
    result.events = name == "sse";
  }
  result.request.speak = result.request.live = true;
  result.request.playback_speed = result.speed;
  return result;
}

}  // namespace calliope::api
