#include "api/chat_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "api/chat_messages.h"
#include "api/chat_tools.h"
#include "api/json_reader.h"
#include "api/model_name.h"

namespace calliope::api {

namespace {

std::unexpected<Error> unsupported(const JsonReader& field, std::string_view why) {
  return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field.path(), why), field.path());
}

Result<bool> flag(const JsonReader& field, bool otherwise) {
  if (field.missing()) return otherwise;
  return field.boolean();
}

/// Whether the answer shall be spoken.
Result<bool> modalities(const JsonReader& field) {
  if (field.missing()) return false;
  TRY_VOID(field.filled_array());
  bool speak = false;
  for (size_t i = 0; i < field.size(); ++i) {
    const JsonReader entry = field.element(i);
    TRY(const std::string_view name, entry.string());
    if (name == "audio") {
      speak = true;
    } else if (name != "text") {
      return std::unexpected(entry.value_error("expected 'text' or 'audio'."));
    }
  }
  return speak;
}

/// Fills voice and format. OpenAI requires both; here the model's own voice and the usual format stand in.
Result<void> speech(const JsonReader& audio, ChatRequest& result) {
  const bool speak = result.request.speak;
  result.speech_format = result.stream ? SpeechFormat::pcm16 : SpeechFormat::wav;
  if (audio.missing()) return {};
  TRY_VOID(audio.object());
  if (const JsonReader voice = audio.member("voice"); voice.is_object()) {
    TRY(const std::string_view id, voice.member("id").string());
    result.request.voice = id;
  } else if (!voice.missing()) {
    if (!voice.is_string()) return std::unexpected(voice.type_error("a string or an object with an id"));
    TRY(const std::string_view name, voice.string());
    result.request.voice = name;
  }
  if (result.request.voice == "default") result.request.voice.clear();
  const JsonReader format = audio.member("format");
  if (format.missing()) return {};
  TRY(const std::string_view name, format.string());
  const auto known = speech_format_of(name);
  if (!known) return std::unexpected(format.value_error("expected one of 'wav', 'mp3', 'opus', 'aac', 'flac' and 'pcm16'."));
  if (speak && result.stream && *known != SpeechFormat::pcm16) {
    return unsupported(format, fmt::format("'{}' cannot be streamed; with stream=true use 'pcm16'.", name));
  }
  result.speech_format = *known;
  return {};
}

Result<assistant::Sampling> sampling(const JsonReader& root) {
  assistant::Sampling result;
  if (const auto field = root.member("temperature"); !field.missing()) {
    TRY(const double value, field.number(0, 2));
    result.temperature = static_cast<float>(value);
  }
  if (const auto field = root.member("top_p"); !field.missing()) {
    TRY(const double value, field.number(0, 1));
    result.top_p = static_cast<float>(value);
  }
  if (const auto field = root.member("top_k"); !field.missing()) {  // not OpenAI's, but what local servers take
    TRY(const int64_t value, field.integer(0, std::numeric_limits<int>::max()));
    result.top_k = static_cast<int>(value);
  }
  if (const auto field = root.member("seed"); !field.missing()) {
    TRY(const int64_t value, field.integer(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
    result.seed = static_cast<uint64_t>(value);
  }
  return result;
}

Result<int> max_tokens(const JsonReader& root, int otherwise) {
  for (const char* name : {"max_completion_tokens", "max_tokens"}) {
    const JsonReader field = root.member(name);
    if (field.missing()) continue;
    TRY(const int64_t value, field.integer(1, std::numeric_limits<int>::max()));
    return static_cast<int>(value);
  }
  return otherwise;
}

Result<std::vector<std::string>> stop_strings(const JsonReader& field) {
  constexpr size_t kMost = 4, kBytes = 1024;
  std::vector<std::string> result;
  const auto add = [&](const JsonReader& entry) -> Result<void> {
    TRY(const std::string_view text, entry.string());
    if (text.empty()) return std::unexpected(entry.value_error("a stop sequence may not be empty."));
    if (text.size() > kBytes) return std::unexpected(entry.value_error(fmt::format("at most {} bytes.", kBytes)));
    result.emplace_back(text);
    return {};
  };
  if (field.missing()) return result;
  if (field.is_string()) {
    TRY_VOID(add(field));
    return result;
  }
  if (!field.is_array()) return std::unexpected(field.type_error("a string or an array of strings"));
  if (field.size() > kMost) return std::unexpected(field.value_error(fmt::format("at most {} stop sequences.", kMost)));
  for (size_t i = 0; i < field.size(); ++i) TRY_VOID(add(field.element(i)));
  return result;
}

/// Known fields that would change the answer in a way this server cannot give.
Result<void> refuse_what_we_cannot(const JsonReader& root) {
  if (const auto field = root.member("n"); !field.missing()) {
    TRY(const int64_t n, field.integer(1, 128));
    if (n != 1) return unsupported(field, "one answer per request; ask again for another.");
  }
  TRY(const bool logprobs, flag(root.member("logprobs"), false));
  if (logprobs) return unsupported(root.member("logprobs"), "log probabilities are not given.");
  for (const char* name : {"frequency_penalty", "presence_penalty"}) {
    const JsonReader field = root.member(name);
    if (field.missing()) continue;
    TRY(const double value, field.number(-2, 2));
    if (value != 0) return unsupported(field, "penalties are not applied; leave it out.");
  }
  if (const auto field = root.member("logit_bias"); !field.missing()) {
    TRY_VOID(field.object());
    if (!field.empty_object()) return unsupported(field, "tokens are not biased; leave it out.");
  }
  return {};
}

}  // namespace

Result<ChatRequest> parse_chat(std::string_view body, const ChatContext& context) {
  TRY(const boost::json::value document, parse_json(body));
  const JsonReader root(&document);
  if (!root.is_object()) return std::unexpected(root.type_error("a JSON object"));

  ChatRequest result;
  TRY(result.model, served_model(root.member("model"), context.models));
  TRY(result.stream, flag(root.member("stream"), false));
  if (const auto options = root.member("stream_options"); !options.missing()) {
    TRY_VOID(options.object());
    if (!result.stream) return std::unexpected(options.value_error("only with stream=true."));
    TRY(result.include_usage, flag(options.member("include_usage"), false));
  }
  TRY_VOID(refuse_what_we_cannot(root));
  TRY(result.request.speak, modalities(root.member("modalities")));
  TRY_VOID(speech(root.member("audio"), result));
  TRY(result.request.sampling, sampling(root));
  TRY(result.request.max_tokens, max_tokens(root, context.limits.default_max_tokens));
  TRY(result.request.stop, stop_strings(root.member("stop")));
  TRY_VOID(parse_tools_and_format(root, result.request));
  // Last, because pictures and sounds cost the most.
  TRY(result.request.turns, parse_messages(root.member("messages"), context));
  return result;
}

}  // namespace calliope::api
