#include "eval/chat_json.h"

#include <boost/json.hpp>
#include <span>

#include "eval/table.h"
#include "media/base64.h"

namespace calliope::eval {
namespace {

namespace json = boost::json;

// What a file's first bytes say it is, as OpenAI's API calls it; empty: unknown.
std::string_view kind_of(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  if (bytes.starts_with("\x89PNG")) return "image/png";
  if (bytes.starts_with("GIF8")) return "image/gif";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return "image/webp";
  if (bytes.starts_with("RIFF")) return "wav";
  if (bytes.starts_with("ID3") || bytes.starts_with("\xFF\xFB") || bytes.starts_with("\xFF\xF3")) return "mp3";
  if (bytes.starts_with("fLaC")) return "flac";
  if (bytes.starts_with("OggS")) return "ogg";
  return {};
}

Result<json::value> part_json(const Part& part) {
  if (part.kind == Part::Kind::text) return json::value{{"type", "text"}, {"text", part.text}};
  std::string bytes = part.bytes;
  if (!part.path.empty()) {
    TRY(bytes, slurp(part.path));
  }
  const std::string_view kind = kind_of(bytes);
  if (kind.empty() || kind.starts_with("image/") != (part.kind == Part::Kind::image)) {
    return fail(ErrorCode::unsupported, (part.path.empty() ? "a picture or sound" : part.path) + " is of a kind that cannot be sent: use JPEG, PNG, WebP, WAV, MP3, FLAC or Ogg");
  }
  std::string encoded = media::encode_base64(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (part.kind == Part::Kind::image) {
    return json::value{{"type", "image_url"}, {"image_url", {{"url", "data:" + std::string(kind) + ";base64," + encoded}}}};
  }
  return json::value{{"type", "input_audio"}, {"input_audio", {{"data", std::move(encoded)}, {"format", kind}}}};
}

}  // namespace

Result<std::string> chat_body(const Task& task, const Item& item, const std::string& model) {
  json::array messages;
  for (size_t i = 0; i < item.turns.size(); ++i) {
    const Turn& turn = item.turns[i];
    json::array content;
    for (const Part& part : turn.parts) {
      TRY(json::value one, part_json(part));
      content.push_back(std::move(one));
    }
    if (task.by_likelihood && i + 1 == item.turns.size()) {
      std::string options = "\n";
      for (size_t c = 0; c < item.choices.size(); ++c) options += std::string(1, static_cast<char>('A' + c)) + ". " + item.choices[c] + "\n";
      content.push_back({{"type", "text"}, {"text", options + "Answer with the letter of the right choice alone."}});
    }
    const bool text_alone = content.size() == 1 && turn.parts[0].kind == Part::Kind::text;
    const char* role = turn.role == assistant::Role::system ? "system" : turn.role == assistant::Role::assistant ? "assistant" : "user";
    messages.push_back({{"role", role}, {"content", text_alone ? json::value(turn.parts[0].text) : json::value(std::move(content))}});
  }
  json::object body;
  body["model"] = model;
  body["messages"] = std::move(messages);
  body["temperature"] = task.temperature;
  body["max_completion_tokens"] = task.max_tokens;
  if (!task.stop.empty()) {
    json::array stop;
    for (size_t i = 0; i < std::min<size_t>(4, task.stop.size()); ++i) stop.push_back(json::string(task.stop[i]));
    body["stop"] = std::move(stop);
  }
  return json::serialize(body);
}

Result<std::string> chat_answer(std::string_view body) {
  json::error_code error;
  const json::value value = json::parse(body, error);
  const auto wrong = [&](const std::string& what) { return fail(ErrorCode::internal, what + ": " + std::string(body.substr(0, 300))); };
  if (error) return wrong("the server answered with no JSON");
  if (const auto* told = value.find_pointer("/error/message", error); told && told->is_string()) {
    return fail(ErrorCode::invalid_argument, "the server says: " + std::string(told->get_string()));
  }
  const auto* message = value.find_pointer("/choices/0/message", error);
  if (!message || !message->is_object()) return wrong("the server's answer has no message");
  const auto* content = message->get_object().if_contains("content");
  if (content && content->is_string()) return std::string(content->get_string());
  if (!content || content->is_null()) return std::string();
  return wrong("the server's answer has no text");
}

}  // namespace calliope::eval
