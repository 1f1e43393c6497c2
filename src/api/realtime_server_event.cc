#include "api/realtime_server_event.h"

#include <boost/json/serialize.hpp>

#include "api/realtime_item.h"
#include "api/realtime_session.h"
#include "media/base64.h"

namespace calliope::api::realtime {

namespace json = boost::json;

namespace {

json::value or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::string(text);
}

/// type and code of an error of ours, as OpenAI has them.
json::object error_json(const Error& error, std::string_view code) {
  std::string_view type = "invalid_request_error", usual;
  switch (error.code) {
    case ErrorCode::invalid_argument: usual = error.field.empty() ? "" : "invalid_value"; break;
    case ErrorCode::not_found: usual = "not_found"; break;
    case ErrorCode::unsupported: usual = "unsupported_value"; break;
    case ErrorCode::too_large: usual = "too_large"; break;
    case ErrorCode::unavailable:
      type = "rate_limit_error";
      usual = "rate_limit_exceeded";
      break;
    case ErrorCode::cancelled: usual = "cancelled"; break;
    case ErrorCode::io:
    case ErrorCode::internal:
      type = "server_error";
      usual = "internal_error";
      break;
  }
  json::object result{{"type", type}};
  result["code"] = or_null(code.empty() ? usual : code);
  result["message"] = error.message;
  result["param"] = or_null(error.field);
  return result;
}

json::object usage_json(const assistant::Usage& usage) {
  const int audio_out = usage.completion_audio_frames;
  const int text_in = usage.prompt_tokens - usage.prompt_audio_tokens - usage.prompt_image_tokens;
  return {{"total_tokens", usage.prompt_tokens + usage.completion_tokens + audio_out},
          {"input_tokens", usage.prompt_tokens},
          {"output_tokens", usage.completion_tokens + audio_out},
          {"input_token_details",
           {{"text_tokens", text_in},
            {"audio_tokens", usage.prompt_audio_tokens},
            {"image_tokens", usage.prompt_image_tokens},
            {"cached_tokens", usage.prompt_cached_tokens}}},
          {"output_token_details", {{"text_tokens", usage.completion_tokens}, {"audio_tokens", audio_out}}}};
}

json::value status_details(const ResponseView& response, std::string_view status) {
  using Status = ResponseView::Status;
  if (response.status == Status::in_progress || response.status == Status::completed) return nullptr;
  json::object details{{"type", status}};
  if (!response.reason.empty()) details["reason"] = response.reason;
  if (response.error) details["error"] = error_json(*response.error, {});
  return details;
}

json::object response_json(const ResponseView& response, Dialect dialect) {
  static constexpr std::string_view kStatus[] = {"in_progress", "completed", "cancelled", "failed", "incomplete"};
  const std::string_view status = kStatus[static_cast<int>(response.status)];
  json::object result{{"object", "realtime.response"}, {"id", response.id}, {"status", status}};
  result["status_details"] = status_details(response, status);
  json::array output;
  for (const Item& item : response.output) output.push_back(item_json(item, dialect));
  result["output"] = std::move(output);
  result["conversation_id"] = or_null(response.conversation_id);
  const json::value most = response.max_output_tokens ? json::value(*response.max_output_tokens) : json::value("inf");
  if (dialect == Dialect::beta) {
    result["modalities"] = response.speak ? json::array{"text", "audio"} : json::array{"text"};
    result["voice"] = response.voice;
    result["output_audio_format"] = beta_format(response.output_format);
    result["temperature"] = response.temperature.value_or(0.8);
  } else {
    result["output_modalities"] = json::array{response.speak ? "audio" : "text"};
    result["audio"] = {{"output", {{"format", format_json(response.output_format)}, {"voice", response.voice}}}};
  }
  result["max_output_tokens"] = most;
  result["usage"] = response.usage ? json::value(usage_json(*response.usage)) : json::value();
  if (response.metadata.empty()) {
    result["metadata"] = nullptr;
  } else {
    json::object metadata;
    for (const auto& [key, value] : response.metadata) metadata[key] = value;
    result["metadata"] = std::move(metadata);
  }
  return result;
}

/// Fills one JSON object per kind of event.
class Writer {
 public:
  Writer(std::string_view event_id, Dialect dialect) : beta_(dialect == Dialect::beta), dialect_(dialect) {
    out_["type"] = "";
    out_["event_id"] = event_id;
  }

  void operator()(const SessionCreated& e) {
    type("session.created");
    out_["session"] = session_json(e.session, e.id, e.expires_at_s, dialect_);
  }
  void operator()(const SessionUpdated& e) {
    type("session.updated");
    out_["session"] = session_json(e.session, e.id, e.expires_at_s, dialect_);
  }
  void operator()(const ConversationCreated& e) {
    type("conversation.created");
    out_["conversation"] = {{"id", e.id}, {"object", "realtime.conversation"}};
  }
  void operator()(const ItemAdded& e) {
    type(beta_ ? "conversation.item.created" : "conversation.item.added");
    out_["previous_item_id"] = or_null(e.previous_item_id);
    out_["item"] = item_json(e.item, dialect_);
  }
  void operator()(const ItemDone& e) {
    if (beta_) return;
    type("conversation.item.done");
    out_["previous_item_id"] = or_null(e.previous_item_id);
    out_["item"] = item_json(e.item, dialect_);
  }
  void operator()(const ItemRetrieved& e) {
    type("conversation.item.retrieved");
    out_["item"] = item_json(e.item, dialect_, e.format);
  }
  void operator()(const ItemTruncated& e) {
    type("conversation.item.truncated");
    out_["item_id"] = e.item_id;
    out_["content_index"] = e.content_index;
    out_["audio_end_ms"] = e.audio_end_ms;
  }
  void operator()(const ItemDeleted& e) {
    type("conversation.item.deleted");
    out_["item_id"] = e.item_id;
  }
  void operator()(const TranscriptionDelta& e) {
    type("conversation.item.input_audio_transcription.delta");
    out_["item_id"] = e.item_id;
    out_["content_index"] = 0;
    out_["delta"] = e.delta;
  }
  void operator()(const TranscriptionCompleted& e) {
    type("conversation.item.input_audio_transcription.completed");
    out_["item_id"] = e.item_id;
    out_["content_index"] = 0;
    out_["transcript"] = e.transcript;
    out_["usage"] = {{"type", "duration"}, {"seconds", e.seconds}};
  }
  void operator()(const TranscriptionFailed& e) {
    type("conversation.item.input_audio_transcription.failed");
    out_["item_id"] = e.item_id;
    out_["content_index"] = 0;
    out_["error"] = error_json(e.error, {});
  }
  void operator()(const InputCommitted& e) {
    type("input_audio_buffer.committed");
    out_["previous_item_id"] = or_null(e.previous_item_id);
    out_["item_id"] = e.item_id;
  }
  void operator()(const InputCleared&) { type("input_audio_buffer.cleared"); }
  void operator()(const SpeechStarted& e) {
    type("input_audio_buffer.speech_started");
    out_["audio_start_ms"] = e.audio_start_ms;
    out_["item_id"] = e.item_id;
  }
  void operator()(const SpeechStopped& e) {
    type("input_audio_buffer.speech_stopped");
    out_["audio_end_ms"] = e.audio_end_ms;
    out_["item_id"] = e.item_id;
  }
  void operator()(const IdleTimeout& e) {
    type("input_audio_buffer.timeout_triggered");
    out_["audio_start_ms"] = e.audio_start_ms;
    out_["audio_end_ms"] = e.audio_end_ms;
    out_["item_id"] = e.item_id;
  }
  void operator()(const OutputCleared& e) {
    type("output_audio_buffer.cleared");
    out_["response_id"] = e.response_id;
  }
  void operator()(const ResponseCreated& e) {
    type("response.created");
    out_["response"] = response_json(e.response, dialect_);
  }
  void operator()(const ResponseDone& e) {
    type("response.done");
    out_["response"] = response_json(e.response, dialect_);
  }
  void operator()(const OutputItemAdded& e) {
    type("response.output_item.added");
    place(e.place, false);
    out_["item"] = item_json(e.item, dialect_);
  }
  void operator()(const OutputItemDone& e) {
    type("response.output_item.done");
    place(e.place, false);
    out_["item"] = item_json(e.item, dialect_);
  }
  void operator()(const PartAdded& e) {
    type("response.content_part.added");
    place(e.place);
    out_["part"] = part_json(e.part);
  }
  void operator()(const PartDone& e) {
    type("response.content_part.done");
    place(e.place);
    out_["part"] = part_json(e.part);
  }
  void operator()(const TextDelta& e) {
    if (e.spoken) {
      type(beta_ ? "response.audio_transcript.delta" : "response.output_audio_transcript.delta");
    } else {
      type(beta_ ? "response.text.delta" : "response.output_text.delta");
    }
    place(e.place);
    out_["delta"] = e.delta;
  }
  void operator()(const TextDone& e) {
    if (e.spoken) {
      type(beta_ ? "response.audio_transcript.done" : "response.output_audio_transcript.done");
    } else {
      type(beta_ ? "response.text.done" : "response.output_text.done");
    }
    place(e.place);
    out_[e.spoken ? "transcript" : "text"] = e.text;
  }
  void operator()(const AudioDelta& e) {
    type(beta_ ? "response.audio.delta" : "response.output_audio.delta");
    place(e.place);
    out_["delta"] = media::encode_base64(e.bytes);
  }
  void operator()(const AudioDone& e) {
    type(beta_ ? "response.audio.done" : "response.output_audio.done");
    place(e.place);
  }
  void operator()(const ArgumentsDelta& e) {
    type("response.function_call_arguments.delta");
    call_place(e.place, e.call_id);
    out_["delta"] = e.delta;
  }
  void operator()(const ArgumentsDone& e) {
    type("response.function_call_arguments.done");
    call_place(e.place, e.call.id);
    out_["name"] = e.call.name;
    out_["arguments"] = e.call.arguments;
  }
  void operator()(const ErrorEvent& e) {
    type("error");
    json::object error = error_json(e.error, e.code);
    error["event_id"] = or_null(e.event_id);
    out_["error"] = std::move(error);
  }

  std::string text() const { return known_ ? json::serialize(out_) : std::string(); }

 private:
  void type(std::string_view name) {
    out_["type"] = name;
    known_ = true;
  }
  void place(const Place& place, bool in_item = true) {
    out_["response_id"] = place.response_id;
    out_["output_index"] = place.output_index;
    if (!in_item) return;
    out_["item_id"] = place.item_id;
    out_["content_index"] = place.content_index;
  }
  void call_place(const Place& place, const std::string& call_id) {
    out_["response_id"] = place.response_id;
    out_["output_index"] = place.output_index;
    out_["item_id"] = place.item_id;
    out_["call_id"] = call_id;
  }

  const bool beta_;
  const Dialect dialect_;
  json::object out_;
  bool known_ = false;
};

}  // namespace

std::string to_json(const ServerEvent& event, std::string_view event_id, Dialect dialect) {
  Writer writer(event_id, dialect);
  std::visit(writer, event);
  return writer.text();
}

std::string client_secret_json(std::string_view secret, int64_t expires_at_s, const Session& session,
                               std::string_view session_id) {
  json::object root{{"value", secret}, {"expires_at", expires_at_s}};
  root["session"] = session_json(session, session_id, expires_at_s, Dialect::ga);
  return json::serialize(root);
}

}  // namespace calliope::api::realtime
