#include "api/realtime_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace calliope::api::realtime {

namespace json = boost::json;
using assistant::ToolChoice;
using media::WireFormat;

namespace {

constexpr size_t kMostTools = 128, kToolBytes = 64 << 10, kInstructionBytes = 256 << 10;

std::unexpected<Error> unsupported(const JsonReader& field, std::string_view why) {
  return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field.path(), why), field.path());
}

Result<std::string> text(const JsonReader& field, size_t most) {
  if (field.missing()) return std::string();
  TRY(const std::string_view value, field.string());
  if (value.size() > most) return std::unexpected(field.value_error(fmt::format("at most {} bytes.", most)));
  return std::string(value);
}

/// Reads a field into `target` when it is there.
template <class T, class Parse>
Result<void> read(const JsonReader& field, T& target, Parse parse) {
  if (field.missing()) return {};
  TRY(target, parse(field));
  return {};
}

Result<void> read_flag(const JsonReader& field, bool& target) {
  return read(field, target, [](const JsonReader& f) { return f.boolean(); });
}

Result<void> read_ms(const JsonReader& field, int& target, int low, int high) {
  if (field.missing()) return {};
  TRY(const int64_t value, field.integer(low, high));
  target = static_cast<int>(value);
  return {};
}

Result<TurnDetection> parse_turn_detection(const JsonReader& field, const TurnDetection& before) {
  using Kind = TurnDetection::Kind;
  if (field.missing()) return TurnDetection{.kind = Kind::none};  // null turns it off
  TRY_VOID(field.object());
  TurnDetection result = before.kind == Kind::none ? TurnDetection{} : before;
  const JsonReader type = field.member("type");
  if (!type.missing()) {
    TRY(const std::string_view name, type.string());
    if (name == "none") return TurnDetection{.kind = Kind::none};
    if (name != "server_vad" && name != "semantic_vad") {
      return std::unexpected(
          type.value_error("expected 'server_vad' or 'semantic_vad', or null instead of the object."));
    }
    const Kind kind = name == "server_vad" ? Kind::server_vad : Kind::semantic_vad;
    if (kind != result.kind) result = {.kind = kind};
  }
  if (const auto threshold = field.member("threshold"); !threshold.missing()) {
    TRY(result.threshold, threshold.number(0, 1));
  }
  TRY_VOID(read_ms(field.member("prefix_padding_ms"), result.prefix_padding_ms, 0, 5'000));
  TRY_VOID(read_ms(field.member("silence_duration_ms"), result.silence_duration_ms, 0, 10'000));
  if (const auto idle = field.member("idle_timeout_ms"); idle.is_null()) {
    result.idle_timeout_ms.reset();
  } else if (!idle.missing()) {
    TRY(const int64_t value, idle.integer(5'000, 30'000));
    result.idle_timeout_ms = static_cast<int>(value);
  }
  if (const auto eagerness = field.member("eagerness"); !eagerness.missing()) {
    using Eagerness = TurnDetection::Eagerness;
    TRY(const std::string_view name, eagerness.string());
    if (name == "auto") {
      result.eagerness = Eagerness::automatic;
    } else if (name == "low") {
      result.eagerness = Eagerness::low;
    } else if (name == "medium") {
      result.eagerness = Eagerness::medium;
    } else if (name == "high") {
      result.eagerness = Eagerness::high;
    } else {
      return std::unexpected(eagerness.value_error("expected one of 'auto', 'low', 'medium' or 'high'."));
    }
  }
  TRY_VOID(read_flag(field.member("create_response"), result.create_response));
  TRY_VOID(read_flag(field.member("interrupt_response"), result.interrupt_response));
  return result;
}

Result<std::optional<Transcription>> parse_transcription(const JsonReader& field) {
  if (field.missing()) return std::nullopt;
  TRY_VOID(field.object());
  Transcription result;
  TRY(result.model, text(field.member("model"), 256));
  TRY(result.language, text(field.member("language"), 64));
  TRY(result.prompt, text(field.member("prompt"), 4096));
  return result;
}

Result<std::string> parse_noise_reduction(const JsonReader& field) {
  if (field.missing()) return std::string();
  TRY_VOID(field.object());
  const JsonReader type = field.member("type");
  TRY(const std::string_view name, type.string());
  if (name != "near_field" && name != "far_field") {
    return std::unexpected(type.value_error("expected 'near_field' or 'far_field'."));
  }
  return std::string(name);
}

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

Result<WireFormat> parse_beta_format(const JsonReader& field) {
  TRY(const std::string_view name, field.string());
  if (name == "pcm16") return WireFormat::pcm16;
  if (name == "g711_ulaw") return WireFormat::mulaw;
  if (name == "g711_alaw") return WireFormat::alaw;
  return std::unexpected(field.value_error("expected one of 'pcm16', 'g711_ulaw' or 'g711_alaw'."));
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

json::value tool_choice_json(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::automatic: return "auto";
    case ToolChoice::Kind::none: return "none";
    case ToolChoice::Kind::required: return "required";
    case ToolChoice::Kind::named: break;
  }
  return json::object{{"type", "function"}, {"name", choice.name}};
}

json::array tools_json(const std::vector<assistant::Tool>& tools) {
  json::array result;
  for (const auto& tool : tools) {
    json::object entry{{"type", "function"}, {"name", tool.name}, {"description", tool.description}};
    boost::system::error_code error;
    json::value parameters = json::parse(tool.parameters, error);
    entry["parameters"] = error ? json::value(json::object()) : std::move(parameters);
    result.push_back(std::move(entry));
  }
  return result;
}

json::value turn_detection_json(const TurnDetection& detection) {
  if (detection.kind == TurnDetection::Kind::none) return nullptr;
  json::object result;
  if (detection.kind == TurnDetection::Kind::server_vad) {
    result = {{"type", "server_vad"},
              {"threshold", detection.threshold},
              {"prefix_padding_ms", detection.prefix_padding_ms},
              {"silence_duration_ms", detection.silence_duration_ms}};
    result["idle_timeout_ms"] = detection.idle_timeout_ms ? json::value(*detection.idle_timeout_ms) : json::value();
  } else {
    static constexpr const char* kNames[] = {"auto", "low", "medium", "high"};
    result = {{"type", "semantic_vad"}, {"eagerness", kNames[static_cast<int>(detection.eagerness)]}};
  }
  result["create_response"] = detection.create_response;
  result["interrupt_response"] = detection.interrupt_response;
  return result;
}

json::value transcription_json(const std::optional<Transcription>& transcription) {
  if (!transcription) return nullptr;
  json::object result{{"model", transcription->model}};
  result["language"] = transcription->language.empty() ? json::value() : json::value(transcription->language);
  result["prompt"] = transcription->prompt;
  return result;
}

json::value noise_reduction_json(const std::string& type) {
  if (type.empty()) return nullptr;
  return json::object{{"type", type}};
}

json::value max_tokens_json(const std::optional<int>& most) { return most ? json::value(*most) : json::value("inf"); }

}  // namespace

Result<bool> parse_modalities(const JsonReader& field) {
  TRY_VOID(field.filled_array());
  bool speak = false;
  for (size_t i = 0; i < field.size(); ++i) {
    TRY(const std::string_view name, field.element(i).string());
    if (name == "audio") {
      speak = true;
    } else if (name != "text") {
      return std::unexpected(field.element(i).value_error("expected 'text' or 'audio'."));
    }
  }
  return speak;
}

Result<WireFormat> parse_format(const JsonReader& field) {
  if (field.is_string()) return parse_beta_format(field);
  TRY_VOID(field.object());
  const JsonReader type = field.member("type"), rate = field.member("rate");
  TRY(const std::string_view name, type.string());
  WireFormat format;
  if (name == "audio/pcm") {
    format = WireFormat::pcm16;
  } else if (name == "audio/pcmu") {
    format = WireFormat::mulaw;
  } else if (name == "audio/pcma") {
    format = WireFormat::alaw;
  } else {
    return std::unexpected(type.value_error("expected one of 'audio/pcm', 'audio/pcmu' or 'audio/pcma'."));
  }
  if (!rate.missing()) {
    TRY(const int64_t hz, rate.integer(0, 1'000'000));
    if (hz != media::wire_rate(format)) {
      return std::unexpected(rate.value_error(fmt::format("{} comes at {} Hz only.", name, media::wire_rate(format))));
    }
  }
  return format;
}

Result<std::string> parse_voice(const JsonReader& field) {
  if (field.is_object()) return text(field.member("id"), 256);
  if (!field.is_string()) return std::unexpected(field.type_error("a string or an object with an id"));
  return text(field, 256);
}

Result<std::vector<assistant::Tool>> parse_tools(const JsonReader& field) {
  if (!field.is_array()) return std::unexpected(field.type_error("an array"));
  if (field.size() > kMostTools)
    return std::unexpected(field.value_error(fmt::format("at most {} tools.", kMostTools)));
  std::vector<assistant::Tool> tools;
  for (size_t i = 0; i < field.size(); ++i) {
    const JsonReader entry = field.element(i);
    TRY_VOID(entry.object());
    const JsonReader type = entry.member("type");
    TRY(const std::string_view kind, type.string());
    if (kind != "function") return unsupported(type, "this server calls functions only, no MCP servers.");
    assistant::Tool tool;
    const JsonReader name = entry.member("name");
    TRY(tool.name, text(name, 64));
    const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    if (tool.name.empty()) return std::unexpected(name.missing_error());
    if (!std::ranges::all_of(tool.name, plain)) {
      return std::unexpected(name.value_error("letters, digits, '_', '-' and '.' only."));
    }
    TRY(tool.description, text(entry.member("description"), kToolBytes));
    if (const auto parameters = entry.member("parameters"); !parameters.missing()) {
      TRY_VOID(parameters.object());
      tool.parameters = parameters.serialized();
      if (tool.parameters.size() > kToolBytes) {
        return std::unexpected(parameters.value_error(fmt::format("at most {} bytes.", kToolBytes)));
      }
    }
    tools.push_back(std::move(tool));
  }
  return tools;
}

Result<ToolChoice> parse_tool_choice(const JsonReader& field) {
  if (field.is_object()) {
    const JsonReader type = field.member("type");
    TRY(const std::string_view kind, type.string());
    if (kind != "function") return unsupported(type, "this server calls functions only.");
    ToolChoice choice{.kind = ToolChoice::Kind::named};
    TRY(choice.name, text(field.member("name"), 64));
    if (choice.name.empty()) return std::unexpected(field.member("name").missing_error());
    return choice;
  }
  if (!field.is_string()) return std::unexpected(field.type_error("a string or an object"));
  TRY(const std::string_view name, field.string());
  if (name == "auto") return ToolChoice{};
  if (name == "none") return ToolChoice{.kind = ToolChoice::Kind::none};
  if (name == "required") return ToolChoice{.kind = ToolChoice::Kind::required};
  return std::unexpected(field.value_error("expected 'auto', 'none', 'required' or an object that names a function."));
}

Result<std::optional<int>> parse_max_tokens(const JsonReader& field) {
  if (field.is_string()) {
    TRY(const std::string_view name, field.string());
    if (name == "inf") return std::nullopt;
    return std::unexpected(field.value_error("expected an integer between 1 and 4096, or 'inf'."));
  }
  TRY(const int64_t most, field.integer(1, 4096));
  return static_cast<int>(most);
}

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

json::object format_json(WireFormat format) {
  switch (format) {
    case WireFormat::pcm16: return {{"type", "audio/pcm"}, {"rate", 24000}};
    case WireFormat::mulaw: return {{"type", "audio/pcmu"}};
    case WireFormat::alaw: return {{"type", "audio/pcma"}};
  }
  return {};
}

std::string_view beta_format(WireFormat format) {
  switch (format) {
    case WireFormat::pcm16: return "pcm16";
    case WireFormat::mulaw: return "g711_ulaw";
    case WireFormat::alaw: return "g711_alaw";
  }
  return {};
}

json::object session_json(const Session& session, std::string_view id, int64_t expires_at_s, Dialect dialect) {
  json::object result{{"object", "realtime.session"}, {"id", id}, {"model", session.model}};
  result["expires_at"] = expires_at_s;
  if (dialect == Dialect::beta) {
    result["modalities"] = session.speak ? json::array{"text", "audio"} : json::array{"text"};
    result["instructions"] = session.instructions;
    result["voice"] = session.voice;
    result["input_audio_format"] = beta_format(session.input_format);
    result["output_audio_format"] = beta_format(session.output_format);
    result["input_audio_transcription"] = transcription_json(session.transcription);
    result["input_audio_noise_reduction"] = noise_reduction_json(session.noise_reduction);
    result["turn_detection"] = turn_detection_json(session.turn_detection);
    result["tools"] = tools_json(session.tools);
    result["tool_choice"] = tool_choice_json(session.tool_choice);
    result["temperature"] = session.temperature.value_or(0.8);
    result["max_response_output_tokens"] = max_tokens_json(session.max_output_tokens);
    result["speed"] = 1;
    result["tracing"] = nullptr;
    return result;
  }
  json::object input{{"format", format_json(session.input_format)}};
  input["transcription"] = transcription_json(session.transcription);
  input["noise_reduction"] = noise_reduction_json(session.noise_reduction);
  input["turn_detection"] = turn_detection_json(session.turn_detection);
  json::object audio{{"input", std::move(input)}};
  result["include"] = nullptr;
  if (session.transcription_only) {
    result["type"] = "transcription";
    result["object"] = "realtime.transcription_session";
    result["audio"] = std::move(audio);
    return result;
  }
  result["type"] = "realtime";
  result["output_modalities"] = json::array{session.speak ? "audio" : "text"};
  result["instructions"] = session.instructions;
  audio["output"] =
      json::object{{"format", format_json(session.output_format)}, {"voice", session.voice}, {"speed", 1}};
  result["audio"] = std::move(audio);
  result["tools"] = tools_json(session.tools);
  result["tool_choice"] = tool_choice_json(session.tool_choice);
  result["max_output_tokens"] = max_tokens_json(session.max_output_tokens);
  switch (session.truncation.kind) {
    case Truncation::Kind::automatic: result["truncation"] = "auto"; break;
    case Truncation::Kind::disabled: result["truncation"] = "disabled"; break;
    case Truncation::Kind::retention_ratio:
      result["truncation"] =
          json::object{{"type", "retention_ratio"}, {"retention_ratio", session.truncation.retention_ratio}};
      break;
  }
  result["tracing"] = nullptr;
  result["prompt"] = nullptr;
  return result;
}

}  // namespace calliope::api::realtime
