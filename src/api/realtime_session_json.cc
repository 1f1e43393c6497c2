// Sessions as they are told to clients.
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "api/realtime_session.h"

namespace calliope::api::realtime {

namespace json = boost::json;
using assistant::ToolChoice;
using media::WireFormat;

namespace {

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
