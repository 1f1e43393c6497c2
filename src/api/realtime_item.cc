#include "api/realtime_item.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "api/data_url.h"
#include "media/base64.h"

namespace calliope::api::realtime {

namespace json = boost::json;
using assistant::Role;
using Kind = Content::Kind;

namespace {

constexpr size_t kMostParts = 64, kTextBytes = 1 << 20, kIdBytes = 64;
constexpr double kShortestSoundMs = 50;

std::unexpected<Error> at(const JsonReader& field, Error error) {
  error.message = fmt::format("Invalid value for '{}': {}", field.path(), error.message);
  error.field = field.path();
  return std::unexpected(std::move(error));
}

Result<std::string> text(const JsonReader& field, size_t most = kTextBytes) {
  TRY(const std::string_view value, field.string());
  if (value.size() > most) return std::unexpected(field.value_error(fmt::format("at most {} bytes.", most)));
  return std::string(value);
}

Result<assistant::SoundPart> sound(const JsonReader& field, media::WireFormat format) {
  TRY(const std::string_view data, field.string());
  auto bytes = media::decode_base64(data);
  if (!bytes) return at(field, std::move(bytes).error());
  if (bytes->size() % media::wire_sample_bytes(format) != 0) {
    return std::unexpected(field.value_error("16-bit samples need an even number of bytes."));
  }
  std::vector<float> samples;
  media::from_wire(*bytes, format, samples);
  const int rate = media::wire_rate(format);
  if (static_cast<double>(samples.size()) * 1000 / rate < kShortestSoundMs) {
    return std::unexpected(field.value_error(fmt::format("a sound has at least {} ms.", kShortestSoundMs)));
  }
  auto result = std::make_shared<assistant::Sound>();
  result->samples = media::resample(samples, rate, assistant::Sound::kSampleRate);
  return result;
}

Result<assistant::ImagePart> image(const JsonReader& field, MediaDecoder& decoder) {
  TRY(const std::string_view address, field.string());
  auto url = parse_data_url(address);
  if (!url) return at(field, std::move(url).error());
  auto image = decoder.image(url->bytes);
  if (!image) return at(field, std::move(image).error());
  return std::make_shared<const assistant::Image>(*std::move(image));
}

Result<Content> parse_part(const JsonReader& part, Role role, MediaDecoder& decoder, media::WireFormat format) {
  TRY_VOID(part.object());
  const JsonReader type = part.member("type");
  TRY(const std::string_view name, type.string());
  if (role == Role::assistant) {
    if (name == "output_text" || name == "text") {
      TRY(std::string words, text(part.member("text")));
      return Content{.kind = Kind::output_text, .text = std::move(words)};
    }
    if (name == "output_audio" || name == "audio") {  // what the model reads of it is its transcript
      TRY(std::string words, text(part.member("transcript")));
      return Content{.kind = Kind::output_audio, .text = std::move(words)};
    }
    return std::unexpected(type.value_error("an assistant's message holds 'output_text' or 'output_audio'."));
  }
  if (name == "input_text") {
    TRY(std::string words, text(part.member("text")));
    return Content{.kind = Kind::input_text, .text = std::move(words)};
  }
  if (role == Role::system) return std::unexpected(type.value_error("a system message holds 'input_text' only."));
  if (name == "input_audio") {
    Content content{.kind = Kind::input_audio};
    TRY(content.sound, sound(part.member("audio"), format));
    if (const JsonReader field = part.member("transcript"); !field.missing()) {
      TRY(content.text, text(field));
      content.transcribed = true;
    }
    return content;
  }
  if (name == "input_image") {
    Content content{.kind = Kind::input_image};
    TRY(content.image, image(part.member("image_url"), decoder));
    return content;
  }
  return std::unexpected(type.value_error("expected one of 'input_text', 'input_audio' or 'input_image'."));
}

Result<void> parse_message(const JsonReader& root, Item& item, MediaDecoder& decoder, media::WireFormat format) {
  const JsonReader role = root.member("role"), content = root.member("content");
  TRY(const std::string_view name, role.string());
  if (name == "user") {
    item.role = Role::user;
  } else if (name == "assistant") {
    item.role = Role::assistant;
  } else if (name == "system") {
    item.role = Role::system;
  } else {
    return std::unexpected(role.value_error("expected one of 'user', 'assistant' or 'system'."));
  }
  TRY_VOID(content.filled_array());
  if (content.size() > kMostParts) {
    return std::unexpected(content.value_error(fmt::format("at most {} parts.", kMostParts)));
  }
  for (size_t i = 0; i < content.size(); ++i) {
    TRY(Content part, parse_part(content.element(i), item.role, decoder, format));
    item.content.push_back(std::move(part));
  }
  return {};
}

/// An id of the client's own goes into events and logs: printable, and short.
Result<std::string> id(const JsonReader& field) {
  TRY(std::string value, text(field, kIdBytes));
  for (const unsigned char c : value) {
    if (c < 0x21 || c > 0x7e)
      return std::unexpected(field.value_error("letters, digits and signs without spaces only."));
  }
  return value;
}

std::string_view status_name(ItemStatus status) {
  switch (status) {
    case ItemStatus::completed: return "completed";
    case ItemStatus::incomplete: return "incomplete";
    case ItemStatus::in_progress: return "in_progress";
  }
  return {};
}

json::object content_json(const Content& content, Dialect dialect, std::optional<media::WireFormat> sound_format) {
  json::object result;
  const bool beta = dialect == Dialect::beta;
  switch (content.kind) {
    case Kind::input_text: return {{"type", "input_text"}, {"text", content.text}};
    case Kind::output_text: return {{"type", beta ? "text" : "output_text"}, {"text", content.text}};
    case Kind::output_audio: return {{"type", beta ? "audio" : "output_audio"}, {"transcript", content.text}};
    case Kind::input_image: return {{"type", "input_image"}, {"detail", "auto"}};
    case Kind::input_audio: break;
  }
  result = {{"type", "input_audio"}};
  result["transcript"] = content.transcribed ? json::value(content.text) : json::value();
  if (sound_format && content.sound) {
    std::vector<uint8_t> bytes;
    media::to_wire(
        media::resample(content.sound->samples, assistant::Sound::kSampleRate, media::wire_rate(*sound_format)),
        *sound_format, bytes);
    result["audio"] = media::encode_base64(bytes);
  }
  return result;
}

}  // namespace

Result<Item> parse_item(const JsonReader& root, MediaDecoder& decoder, media::WireFormat format, bool references) {
  TRY_VOID(root.object());
  Item item;
  if (const JsonReader field = root.member("id"); !field.missing()) {
    TRY(item.id, id(field));
  }
  const JsonReader type = root.member("type");
  TRY(const std::string_view name, type.string());
  if (name == "message") {
    TRY_VOID(parse_message(root, item, decoder, format));
  } else if (name == "function_call") {
    item.kind = Item::Kind::function_call;
    TRY(item.call.name, text(root.member("name"), 64));
    TRY(item.call.arguments, text(root.member("arguments")));
    if (const JsonReader field = root.member("call_id"); !field.missing()) {
      TRY(item.call.id, id(field));
    }
  } else if (name == "function_call_output") {
    item.kind = Item::Kind::function_call_output;
    TRY(item.call.id, id(root.member("call_id")));
    TRY(item.output, text(root.member("output")));
  } else if (references && name == "item_reference") {
    item.kind = Item::Kind::reference;
    if (item.id.empty()) return std::unexpected(root.member("id").missing_error());
  } else {
    return std::unexpected(type.value_error("expected one of 'message', 'function_call' or 'function_call_output'."));
  }
  return item;
}

json::object item_json(const Item& item, Dialect dialect, std::optional<media::WireFormat> sound_format) {
  json::object result{{"id", item.id}, {"object", "realtime.item"}};
  result["status"] = status_name(item.status);
  switch (item.kind) {
    case Item::Kind::message: {
      result["type"] = "message";
      result["role"] = item.role == Role::user ? "user" : item.role == Role::assistant ? "assistant" : "system";
      json::array content;
      for (const Content& part : item.content) content.push_back(content_json(part, dialect, sound_format));
      result["content"] = std::move(content);
      break;
    }
    case Item::Kind::function_call:
      result["type"] = "function_call";
      result["call_id"] = item.call.id;
      result["name"] = item.call.name;
      result["arguments"] = item.call.arguments;
      break;
    case Item::Kind::function_call_output:
      result["type"] = "function_call_output";
      result["call_id"] = item.call.id;
      result["output"] = item.output;
      break;
    case Item::Kind::reference: result["type"] = "item_reference"; break;
  }
  return result;
}

json::object part_json(const Content& part) {
  if (part.kind == Kind::output_audio) return {{"type", "audio"}, {"transcript", part.text}};
  return {{"type", "text"}, {"text", part.text}};
}

}  // namespace calliope::api::realtime
