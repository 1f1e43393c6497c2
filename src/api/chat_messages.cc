#include "api/chat_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/chat_tools.h"
#include "api/data_url.h"
#include "media/base64.h"

namespace calliope::api {

namespace {

using assistant::Role;
using assistant::Turn;

/// Names that clients use for what browsers, phones and OpenAI's documents call sound files.
constexpr std::array<std::string_view, 12> kSoundFormats = {"wav", "mp3", "webm", "ogg", "opus", "flac",
                                                            "m4a", "mp4", "aac",  "oga", "mpeg", "mpga"};

class MessageParser {
 public:
  explicit MessageParser(const ChatContext& context) : context_(context) {}

  Result<Turn> turn(const JsonReader& message) {
    TRY_VOID(message.object());
    const JsonReader role_field = message.member("role");
    TRY(const std::string_view role, role_field.string());
    Turn turn;
    if (role == "system" || role == "developer") {
      turn.role = Role::system;
    } else if (role == "user") {
      turn.role = Role::user;
    } else if (role == "assistant") {
      turn.role = Role::assistant;
      TRY(turn.tool_calls, parse_tool_calls(message.member("tool_calls")));
      for (const auto& call : turn.tool_calls) call_ids_.push_back(call.id);
      if (!turn.tool_calls.empty() && message.member("content").missing() && message.member("audio").missing()) return turn;
    } else if (role == "tool") {
      turn.role = Role::tool;
      const JsonReader id = message.member("tool_call_id");
      TRY(turn.tool_call_id, id.string());
      if (std::ranges::find(call_ids_, turn.tool_call_id) == call_ids_.end()) {
        return std::unexpected(id.value_error("no earlier assistant message has a tool call with this id."));
      }
    } else if (role == "function") {
      return unsupported(role_field, "it is out of use; send role 'tool' with a tool_call_id.");
    } else {
      return std::unexpected(role_field.value_error("expected one of 'system', 'developer', 'user', 'assistant' or 'tool'."));
    }
    TRY_VOID(content(message, turn));
    return turn;
  }

 private:
  static std::unexpected<Error> unsupported(const JsonReader& field, std::string_view why) {
    return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field.path(), why), field.path());
  }

  /// Media errors come from below without a place: say where.
  static std::unexpected<Error> at(const JsonReader& field, Error error) {
    error.message = fmt::format("Invalid value for '{}': {}", field.path(), error.message);
    error.field = field.path();
    return std::unexpected(std::move(error));
  }

  Result<void> content(const JsonReader& message, Turn& turn) {
    const JsonReader content = message.member("content");
    if (content.is_array()) {
      TRY_VOID(content.filled_array());
      for (size_t i = 0; i < content.size(); ++i) TRY_VOID(part(content.element(i), turn));
      return {};
    }
    if (content.is_string()) {
      TRY(const std::string_view text, content.string());
      turn.parts.emplace_back(std::string(text));
      return {};
    }
    if (!content.missing()) return std::unexpected(content.type_error("a string or an array of parts"));
    if (turn.role == Role::assistant) return spoken(message, turn);
    return std::unexpected(content.missing_error());
  }

  /// An earlier spoken answer, which the caller names by id alone: what the model reads of it is its transcript.
  Result<void> spoken(const JsonReader& message, Turn& turn) {
    const JsonReader audio = message.member("audio");
    if (audio.missing()) {
      const JsonReader refusal = message.member("refusal");
      if (refusal.missing()) return std::unexpected(message.member("content").missing_error());
      TRY(const std::string_view text, refusal.string());
      turn.parts.emplace_back(std::string(text));
      return {};
    }
    TRY_VOID(audio.object());
    const JsonReader id_field = audio.member("id");
    TRY(const std::string_view id, id_field.string());
    std::optional<std::string> transcript;
    if (context_.spoken_answers != nullptr) transcript = context_.spoken_answers->transcript(id);
    if (!transcript) {
      return std::unexpected(
          id_field.value_error("this server does not know, or no longer keeps, a spoken answer with this id; send its "
                               "transcript as content."));
    }
    turn.parts.emplace_back(*std::move(transcript));
    return {};
  }

  Result<void> part(const JsonReader& part, Turn& turn) {
    TRY_VOID(part.object());
    const JsonReader type_field = part.member("type");
    TRY(const std::string_view type, type_field.string());
    if (type == "text" || (type == "refusal" && turn.role == Role::assistant)) {
      TRY(const std::string_view text, part.member(type).string());
      turn.parts.emplace_back(std::string(text));
      return {};
    }
    if (type != "image_url" && type != "input_audio") {
      if (type == "file") return unsupported(type_field, "files are not read; send text, image_url or input_audio.");
      return std::unexpected(type_field.value_error("expected one of 'text', 'image_url' or 'input_audio'."));
    }
    if (turn.role != Role::user) {
      return std::unexpected(type_field.value_error("only user messages may hold pictures and sounds."));
    }
    if (++media_parts_ > context_.limits.media_parts) {
      return std::unexpected(type_field.value_error(
          fmt::format("a request may hold at most {} pictures and sounds.", context_.limits.media_parts)));
    }
    return type == "image_url" ? image(part.member("image_url"), turn) : sound(part.member("input_audio"), turn);
  }

  Result<void> image(const JsonReader& object, Turn& turn) {
    TRY_VOID(object.object());
    if (const JsonReader detail = object.member("detail"); !detail.missing()) TRY_VOID(detail.string());
    const JsonReader url_field = object.member("url");
    TRY(const std::string_view text, url_field.string());
    auto url = parse_data_url(text);
    if (!url) return at(url_field, std::move(url).error());
    if (!url->mime.starts_with("image/") && url->mime != "application/octet-stream") {
      return std::unexpected(
          url_field.value_error(fmt::format("expected an image, but the data URL says {}.", url->mime)));
    }
    auto image = context_.decoder.image(url->bytes);
    if (!image) return at(url_field, std::move(image).error());
    TRY_VOID(account(url_field, image->rgb.size()));
    turn.parts.emplace_back(std::make_shared<const assistant::Image>(*std::move(image)));
    return {};
  }

  Result<void> sound(const JsonReader& object, Turn& turn) {
    TRY_VOID(object.object());
    const JsonReader data_field = object.member("data");
    TRY(std::string_view data, data_field.string());
    const JsonReader format_field = object.member("format");
    TRY(const std::string_view format, format_field.string());
    if (std::ranges::find(kSoundFormats, format) == kSoundFormats.end()) {
      return std::unexpected(
          format_field.value_error(fmt::format("expected one of {}.", fmt::join(kSoundFormats, ", "))));
    }
    Result<std::vector<uint8_t>> bytes;
    if (data.starts_with("data:")) {  // many clients send a data URL here as well
      auto url = parse_data_url(data);
      if (!url) return at(data_field, std::move(url).error());
      bytes = std::move(url->bytes);
    } else {
      bytes = media::decode_base64(data);
    }
    if (!bytes) return at(data_field, std::move(bytes).error());
    if (bytes->empty()) return std::unexpected(data_field.value_error("the sound is empty."));
    auto sound = context_.decoder.sound(*bytes, format);
    if (!sound) return at(data_field, std::move(sound).error());
    TRY_VOID(account(data_field, sound->samples.size() * sizeof(float)));
    turn.parts.emplace_back(std::make_shared<const assistant::Sound>(*std::move(sound)));
    return {};
  }

  Result<void> account(const JsonReader& field, size_t bytes) {
    decoded_bytes_ += bytes;
    if (decoded_bytes_ <= context_.limits.decoded_bytes) return {};
    return fail(ErrorCode::too_large,
                fmt::format("Invalid value for '{}': the pictures and sounds up to here unpack to more than {} MiB.",
                            field.path(), context_.limits.decoded_bytes >> 20),
                field.path());
  }

  const ChatContext& context_;
  std::vector<std::string> call_ids_;
  size_t media_parts_ = 0;
  size_t decoded_bytes_ = 0;
};

}  // namespace

Result<std::vector<Turn>> parse_messages(const JsonReader& messages, const ChatContext& context) {
  TRY_VOID(messages.filled_array());
  if (messages.size() > context.limits.messages) {
    return std::unexpected(messages.value_error(fmt::format("at most {} messages.", context.limits.messages)));
  }
  MessageParser parser(context);
  std::vector<Turn> turns;
  turns.reserve(messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    TRY(Turn turn, parser.turn(messages.element(i)));
    turns.push_back(std::move(turn));
  }
  return turns;
}

}  // namespace calliope::api
