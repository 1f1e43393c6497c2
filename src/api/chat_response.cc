#include "api/chat_response.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "api/error_json.h"
#include "api/speech_format.h"
#include "media/base64.h"

namespace calliope::api {

namespace json = boost::json;

namespace {

std::string_view reason_name(assistant::FinishReason reason) {
  if (reason == assistant::FinishReason::tool_calls) return "tool_calls";
  return reason == assistant::FinishReason::length ? "length" : "stop";
}

/// Frames of the spoken answer count as tokens, as OpenAI counts its audio tokens.
json::object usage_object(const assistant::Usage& usage) {
  const int completion = usage.completion_tokens + usage.completion_audio_frames;
  const int prompt_text = usage.prompt_tokens - usage.prompt_audio_tokens - usage.prompt_image_tokens;
  json::object result;
  result["prompt_tokens"] = usage.prompt_tokens;
  result["completion_tokens"] = completion;
  result["total_tokens"] = usage.prompt_tokens + completion;
  result["prompt_tokens_details"] = {{"cached_tokens", usage.prompt_cached_tokens},
                                     {"audio_tokens", usage.prompt_audio_tokens},
                                     {"image_tokens", usage.prompt_image_tokens},
                                     {"text_tokens", prompt_text}};
  result["completion_tokens_details"] = {{"reasoning_tokens", 0},
                                         {"audio_tokens", usage.completion_audio_frames},
                                         {"text_tokens", usage.completion_tokens},
                                         {"accepted_prediction_tokens", 0},
                                         {"rejected_prediction_tokens", 0}};
  return result;
}

json::object call_object(const assistant::ToolCall& call) {
  json::object result;
  result["id"] = call.id;
  result["type"] = "function";
  result["function"] = {{"name", call.name}, {"arguments", call.arguments}};
  return result;
}

json::object head_object(const AnswerHead& head, std::string_view object) {
  json::object result;
  result["id"] = head.id;
  result["object"] = object;
  result["created"] = head.created_s;
  result["model"] = head.model;
  return result;
}

std::string event(const json::object& object) { return "data: " + json::serialize(object) + "\n\n"; }

/// One chunk with one choice. Its usage is null in every chunk but the last when usage was asked for.
std::string chunk(const AnswerHead& head, bool include_usage, json::object delta, json::value reason = nullptr) {
  json::object choice;
  choice["index"] = 0;
  choice["delta"] = std::move(delta);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(reason);
  json::object root = head_object(head, "chat.completion.chunk");
  root["choices"] = json::array{std::move(choice)};
  if (include_usage) root["usage"] = nullptr;
  return event(root);
}

}  // namespace

std::string chat_completion(const AnswerHead& head, const ChatAnswer& answer) {
  json::object message;
  message["role"] = "assistant";
  message["content"] = nullptr;
  message["refusal"] = nullptr;
  message["annotations"] = json::array();
  if (!answer.tool_calls.empty()) {
    json::array calls;
    for (const auto& call : answer.tool_calls) calls.push_back(call_object(call));
    message["tool_calls"] = std::move(calls);
  }
  if (answer.text.empty() && !answer.tool_calls.empty()) {
    // Nothing was said.
  } else if (head.audio_id.empty()) {
    message["content"] = answer.text;
  } else {
    json::object audio;
    audio["id"] = head.audio_id;
    audio["data"] = media::encode_base64(answer.audio);
    audio["expires_at"] = head.audio_expires_s;
    audio["transcript"] = answer.text;
    message["audio"] = std::move(audio);
  }
  json::object choice;
  choice["index"] = 0;
  choice["message"] = std::move(message);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = reason_name(answer.reason);
  json::object root = head_object(head, "chat.completion");
  root["choices"] = json::array{std::move(choice)};
  root["usage"] = usage_object(answer.usage);
  return json::serialize(root);
}

std::string ChatStream::begin() const {
  json::object delta;
  delta["role"] = "assistant";
  delta["refusal"] = nullptr;
  if (head_.audio_id.empty()) {
    delta["content"] = "";
  } else {
    delta["audio"] = {{"id", head_.audio_id}, {"transcript", ""}};
  }
  return chunk(head_, include_usage_, std::move(delta));
}

std::string ChatStream::text(std::string_view text) const {
  json::object delta;
  if (head_.audio_id.empty()) {
    delta["content"] = text;
  } else {
    delta["audio"] = {{"id", head_.audio_id}, {"transcript", text}};
  }
  return chunk(head_, include_usage_, std::move(delta));
}

std::string ChatStream::audio(std::span<const float> samples) const {
  json::object delta;
  delta["audio"] = {{"id", head_.audio_id}, {"data", pcm16_base64(samples)}};
  return chunk(head_, include_usage_, std::move(delta));
}

std::string ChatStream::tool_call(size_t index, const assistant::ToolCall& call) const {
  json::object one;
  one["index"] = index;
  for (auto& member : call_object(call)) one.insert(member);
  json::object delta;
  delta["tool_calls"] = json::array{std::move(one)};
  return chunk(head_, include_usage_, std::move(delta));
}

std::string ChatStream::finish(const assistant::Finished& finished) const {
  std::string result;
  if (!head_.audio_id.empty()) {
    json::object delta;
    delta["audio"] = {{"id", head_.audio_id}, {"expires_at", head_.audio_expires_s}};
    result += chunk(head_, include_usage_, std::move(delta));
  }
  result += chunk(head_, include_usage_, {}, json::string(reason_name(finished.reason)));
  if (include_usage_) {
    json::object root = head_object(head_, "chat.completion.chunk");
    root["choices"] = json::array();
    root["usage"] = usage_object(finished.usage);
    result += event(root);
  }
  return result + "data: [DONE]\n\n";
}

std::string ChatStream::fail(const Error& error) {
  return "data: " + error_reply(error, ErrorStage::engine).body + "\n\n";
}

namespace {

json::object model_value(std::string_view model, int64_t created_s) {
  json::object result;
  result["id"] = model;
  result["object"] = "model";
  result["created"] = created_s;
  result["owned_by"] = "calliope";
  return result;
}

}  // namespace

std::string model_list(std::span<const std::string> models, int64_t created_s) {
  json::array data;
  for (const std::string& model : models) data.push_back(model_value(model, created_s));
  json::object root;
  root["object"] = "list";
  root["data"] = std::move(data);
  return json::serialize(root);
}

std::string model_object(std::string_view model, int64_t created_s) {
  return json::serialize(model_value(model, created_s));
}

}  // namespace calliope::api
