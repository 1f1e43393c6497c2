#include "api/realtime_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/realtime_fields.h"
#include "api/realtime_input.h"

namespace calliope::api::realtime {

using assistant::ToolChoice;
using media::WireFormat;

namespace {

constexpr size_t kInstructionBytes = 256 << 10;

Result<Truncation> parse_truncation(const JsonReader& field) {
  using Kind = Truncation::Kind;
  if (field.is_string()) {
    TRY(const std::string_view name, field.string());
    if (name == "auto") return Truncation{};
    if (name == "disabled") return Truncation{.kind = Kind::disabled};
    return std::unexpected(field.value_error("expected 'auto', 'disabled' or an object."));
  }
  TRY_VOID(field.object());
  const JsonReader type = field.member("type");
  TRY(const std::string_view name, type.string());
  if (name != "retention_ratio") return std::unexpected(type.value_error("expected 'retention_ratio'."));
  Truncation result{.kind = Kind::retention_ratio};
  TRY(result.retention_ratio, field.member("retention_ratio").number(0, 1));
  return result;
}

Result<void> parse_input(const JsonReader& input, Session& session) {
  if (input.missing()) return {};
  TRY_VOID(input.object());
  TRY_VOID(read(input.member("format"), session.input_format, parse_format));
  if (const auto field = input.member("transcription"); !field.absent()) {
    TRY(session.transcription, parse_transcription(field));
  }
  if (const auto field = input.member("noise_reduction"); !field.absent()) {
    TRY(session.noise_reduction, parse_noise_reduction(field));
  }
  if (const auto field = input.member("turn_detection"); !field.absent()) {
    TRY(session.turn_detection, parse_turn_detection(field, session.turn_detection));
  }
  return {};
}

Result<void> refuse_speed(const JsonReader& field) {
  if (field.missing()) return {};
  TRY(const double speed, field.number(0.25, 1.5));
  if (speed != 1) return unsupported(field, "the voice speaks at its own speed; leave it out.");
  return {};
}

Result<void> parse_output(const JsonReader& output, Session& session) {
  if (output.missing()) return {};
  TRY_VOID(output.object());
  TRY_VOID(read(output.member("format"), session.output_format, parse_format));
  TRY_VOID(read(output.member("voice"), session.voice, parse_voice));
  return refuse_speed(output.member("speed"));
}

/// The beta has no `audio` object; its fields lie flat.
Result<void> parse_beta_fields(const JsonReader& root, Session& session) {
  TRY_VOID(read(root.member("modalities"), session.speak, parse_modalities));
  TRY_VOID(read(root.member("voice"), session.voice, parse_voice));
  TRY_VOID(read(root.member("input_audio_format"), session.input_format, parse_beta_format));
  TRY_VOID(read(root.member("output_audio_format"), session.output_format, parse_beta_format));
  if (const auto field = root.member("input_audio_transcription"); !field.absent()) {
    TRY(session.transcription, parse_transcription(field));
  }
  if (const auto field = root.member("input_audio_noise_reduction"); !field.absent()) {
    TRY(session.noise_reduction, parse_noise_reduction(field));
  }
  if (const auto field = root.member("turn_detection"); !field.absent()) {
    TRY(session.turn_detection, parse_turn_detection(field, session.turn_detection));
  }
  TRY_VOID(read(root.member("max_response_output_tokens"), session.max_output_tokens, parse_max_tokens));
  if (const auto field = root.member("temperature"); !field.missing()) {
    TRY(session.temperature, field.number(0, 2));
  }
  return refuse_speed(root.member("speed"));
}

}  // namespace

Result<Session> parse_session(const JsonReader& root, Session session, std::span<const std::string> models) {
  TRY_VOID(root.object());
  if (const JsonReader type = root.member("type"); !type.missing()) {
    TRY(const std::string_view name, type.string());
    if (name != "realtime" && name != "transcription") {
      return std::unexpected(type.value_error("expected 'realtime' or 'transcription'."));
    }
    session.transcription_only = name == "transcription";
  }
  if (const JsonReader model = root.member("model"); !model.missing()) {
    TRY(const std::string_view name, model.string());
    if (!models.empty() && std::ranges::find(models, name) == models.end()) {
      return fail(ErrorCode::not_found,
                  fmt::format("The model '{}' does not exist; this server has: {}.", name.substr(0, 200),
                              fmt::join(models, ", ")),
                  model.path());
    }
    session.model = name;
  }
  TRY_VOID(parse_beta_fields(root, session));
  TRY_VOID(read(root.member("output_modalities"), session.speak, parse_modalities));
  TRY_VOID(read(root.member("instructions"), session.instructions,
                [](const JsonReader& field) { return text(field, kInstructionBytes); }));
  if (const JsonReader audio = root.member("audio"); !audio.missing()) {
    TRY_VOID(audio.object());
    TRY_VOID(parse_input(audio.member("input"), session));
    TRY_VOID(parse_output(audio.member("output"), session));
  }
  TRY_VOID(read(root.member("tools"), session.tools, parse_tools));
  TRY_VOID(read(root.member("tool_choice"), session.tool_choice, parse_tool_choice));
  TRY_VOID(read(root.member("max_output_tokens"), session.max_output_tokens, parse_max_tokens));
  TRY_VOID(read(root.member("truncation"), session.truncation, parse_truncation));
  if (const JsonReader prompt = root.member("prompt"); !prompt.missing()) {
    return unsupported(prompt, "this server stores no prompts; send instructions.");
  }
  if (const JsonReader include = root.member("include"); include.is_array() && include.size() != 0) {
    return unsupported(include, "log probabilities are not given.");
  }
  const auto& choice = session.tool_choice;
  const auto named = [&](const assistant::Tool& tool) { return tool.name == choice.name; };
  if (choice.kind == ToolChoice::Kind::named && std::ranges::none_of(session.tools, named)) {
    return std::unexpected(root.member("tool_choice").value_error("names a function that is not among the tools."));
  }
  if (choice.kind == ToolChoice::Kind::required && session.tools.empty()) {
    return std::unexpected(root.member("tool_choice").value_error("'required' needs tools."));
  }
  return session;
}

}  // namespace calliope::api::realtime
