#include "api/realtime_client_event.h"

#include <fmt/format.h>

#include "api/json_reader.h"
#include "api/realtime_item.h"
#include "api/realtime_session.h"
#include "media/base64.h"

namespace calliope::api::realtime {

namespace {

constexpr size_t kMostInputItems = 1024, kMostMetadata = 16;
using Body = decltype(ClientEvent::body);

Result<std::string> item_id(const JsonReader& root) {
  TRY(const std::string_view id, root.member("item_id").string());
  return std::string(id.substr(0, 512));
}

Result<Body> append(const JsonReader& root, const ClientEventContext& context) {
  const JsonReader field = root.member("audio");
  TRY(const std::string_view audio, field.string());
  auto bytes = media::decode_base64(audio);
  if (!bytes) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("Invalid value for '{}': {}", field.path(), bytes.error().message), field.path());
  }
  if (bytes->size() % media::wire_sample_bytes(context.session.input_format) != 0) {
    return std::unexpected(field.value_error("16-bit samples need an even number of bytes."));
  }
  return AppendInput{*std::move(bytes)};
}

Result<Body> create_item(const JsonReader& root, const ClientEventContext& context) {
  CreateItem event;
  TRY(event.item, parse_item(root.member("item"), context.decoder, context.session.input_format, false));
  if (const JsonReader field = root.member("previous_item_id"); !field.missing()) {
    TRY(const std::string_view id, field.string());
    event.previous_item_id = std::string(id.substr(0, 512));
  }
  return event;
}

Result<Body> truncate(const JsonReader& root) {
  TruncateItem event;
  TRY(event.item_id, item_id(root));
  TRY(event.content_index, root.member("content_index").integer(0, 1 << 20));
  TRY(event.audio_end_ms, root.member("audio_end_ms").integer(0, 1'000'000'000));
  return event;
}

Result<Metadata> parse_metadata(const JsonReader& field) {
  Metadata result;
  if (field.missing()) return result;
  TRY_VOID(field.object());
  const auto names = field.keys();
  if (names.size() > kMostMetadata)
    return std::unexpected(field.value_error(fmt::format("at most {} entries.", kMostMetadata)));
  for (const std::string& name : names) {
    const JsonReader entry = field.member(name);
    TRY(const std::string_view value, entry.string());
    if (name.size() > 64) return std::unexpected(entry.value_error("a key has at most 64 bytes."));
    if (value.size() > 512) return std::unexpected(entry.value_error("a value has at most 512 bytes."));
    result.emplace_back(name, value);
  }
  return result;
}

Result<Body> create_response(const JsonReader& root, const ClientEventContext& context) {
  CreateResponse event;
  const JsonReader response = root.member("response");
  if (response.missing()) return event;
  TRY_VOID(response.object());
  ResponseParams& params = event.params;
  for (const char* name : {"modalities", "output_modalities"}) {
    if (const auto field = response.member(name); !field.missing()) {
      TRY(params.speak, parse_modalities(field));
    }
  }
  if (const auto field = response.member("instructions"); !field.missing()) {
    TRY(const std::string_view value, field.string());
    params.instructions = std::string(value);
  }
  if (const auto audio = response.member("audio"); !audio.missing()) {
    TRY_VOID(audio.object());
    const JsonReader output = audio.member("output");
    if (const auto field = output.member("format"); !field.missing()) {
      TRY(params.output_format, parse_format(field));
    }
    if (const auto field = output.member("voice"); !field.missing()) {
      TRY(params.voice, parse_voice(field));
    }
  }
  if (const auto field = response.member("output_audio_format"); !field.missing()) {
    TRY(params.output_format, parse_format(field));
  }
  if (const auto field = response.member("voice"); !field.missing()) {
    TRY(params.voice, parse_voice(field));
  }
  if (const auto field = response.member("tools"); !field.missing()) {
    TRY(params.tools, parse_tools(field));
  }
  if (const auto field = response.member("tool_choice"); !field.missing()) {
    TRY(const auto choice, parse_tool_choice(field));
    const auto& tools = params.tools ? *params.tools : context.session.tools;
    bool known = choice.kind != assistant::ToolChoice::Kind::named;
    for (const auto& tool : tools) known |= tool.name == choice.name;
    if (!known) return std::unexpected(field.value_error("names a function that is not among the tools."));
    if (choice.kind == assistant::ToolChoice::Kind::required && tools.empty()) {
      return std::unexpected(field.value_error("'required' needs tools."));
    }
    params.tool_choice = choice;
  }
  for (const char* name : {"max_response_output_tokens", "max_output_tokens"}) {
    if (const auto field = response.member(name); !field.missing()) {
      TRY(params.max_output_tokens, parse_max_tokens(field));
    }
  }
  if (const auto field = response.member("temperature"); !field.missing()) {
    TRY(params.temperature, field.number(0, 2));
  }
  if (const auto field = response.member("conversation"); !field.missing()) {
    TRY(const std::string_view name, field.string());
    if (name != "auto" && name != "none") return std::unexpected(field.value_error("expected 'auto' or 'none'."));
    params.out_of_band = name == "none";
  }
  if (const auto field = response.member("input"); !field.missing()) {
    if (!field.is_array()) return std::unexpected(field.type_error("an array"));
    if (field.size() > kMostInputItems)
      return std::unexpected(field.value_error(fmt::format("at most {} items.", kMostInputItems)));
    params.input.emplace();
    for (size_t i = 0; i < field.size(); ++i) {
      TRY(Item item, parse_item(field.element(i), context.decoder, context.session.input_format, true));
      params.input->push_back(std::move(item));
    }
  }
  TRY(params.metadata, parse_metadata(response.member("metadata")));
  return event;
}

Result<Body> body(const JsonReader& root, std::string_view type, const ClientEventContext& context) {
  if (type == "input_audio_buffer.append") return append(root, context);
  if (type == "input_audio_buffer.commit") return CommitInput{};
  if (type == "input_audio_buffer.clear") return ClearInput{};
  if (type == "output_audio_buffer.clear") return ClearOutput{};
  if (type == "conversation.item.create") return create_item(root, context);
  if (type == "conversation.item.truncate") return truncate(root);
  if (type == "response.create") return create_response(root, context);
  if (type == "session.update" || type == "transcription_session.update") {
    TRY(Session session, parse_session(root.member("session"), context.session, context.models));
    return UpdateSession{std::move(session)};
  }
  if (type == "conversation.item.delete") {
    TRY(std::string id, item_id(root));
    return DeleteItem{std::move(id)};
  }
  if (type == "conversation.item.retrieve") {
    TRY(std::string id, item_id(root));
    return RetrieveItem{std::move(id)};
  }
  if (type == "response.cancel") {
    CancelResponse event;
    if (const JsonReader field = root.member("response_id"); !field.missing()) {
      TRY(const std::string_view id, field.string());
      event.response_id = std::string(id);
    }
    return event;
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("Invalid value for 'type': '{}' is no event that a client sends. Those are session.update, "
                          "input_audio_buffer.append, input_audio_buffer.commit, input_audio_buffer.clear, "
                          "output_audio_buffer.clear, conversation.item.create, conversation.item.retrieve, "
                          "conversation.item.truncate, conversation.item.delete, response.create and response.cancel.",
                          type.substr(0, 100)),
              "type");
}

}  // namespace

std::expected<ClientEvent, BadEvent> parse_client_event(std::string_view bytes, const ClientEventContext& context) {
  const auto bad = [](Error error, std::string event_id = {}, std::string code = {}) {
    return std::unexpected(BadEvent{std::move(error), std::move(event_id), std::move(code)});
  };
  auto document = parse_json(bytes);
  if (!document) {
    Error error = std::move(document).error();
    if (error.message.starts_with("The body")) error.message.replace(0, 8, "The event");
    return bad(std::move(error), {}, "invalid_json");
  }
  const JsonReader root(&*document);
  if (!root.is_object()) return bad({ErrorCode::invalid_argument, "An event is a JSON object."}, {}, "invalid_event");
  ClientEvent event;
  if (const JsonReader id = root.member("event_id"); id.is_string()) {
    event.event_id = id.string()->substr(0, 512);
  } else if (!id.missing()) {
    return bad(id.type_error("a string"), {}, "invalid_event");
  }
  const JsonReader type = root.member("type");
  const auto name = type.string();
  if (!name) return bad(name.error(), event.event_id, "invalid_event");
  auto parsed = body(root, *name, context);
  if (!parsed) {
    const bool unknown_type = parsed.error().field == "type";
    return bad(std::move(parsed).error(), event.event_id, unknown_type ? "invalid_event" : "");
  }
  event.body = *std::move(parsed);
  return event;
}

Result<ClientSecretRequest> parse_client_secret(std::string_view bytes, const Session& defaults,
                                                std::span<const std::string> models) {
  ClientSecretRequest request{.session = defaults};
  if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos) return request;
  TRY(const boost::json::value document, parse_json(bytes));
  const JsonReader root(&document);
  if (!root.is_object()) return std::unexpected(root.type_error("a JSON object"));
  if (const JsonReader after = root.member("expires_after"); !after.missing()) {
    TRY_VOID(after.object());
    if (const JsonReader anchor = after.member("anchor"); !anchor.missing()) {
      TRY(const std::string_view name, anchor.string());
      if (name != "created_at") return std::unexpected(anchor.value_error("expected 'created_at'."));
    }
    if (const JsonReader seconds = after.member("seconds"); !seconds.missing()) {
      TRY(const int64_t value, seconds.integer(10, 7200));
      request.seconds = static_cast<int>(value);
    }
  }
  if (const JsonReader session = root.member("session"); !session.missing()) {
    TRY(request.session, parse_session(session, defaults, models));
  }
  return request;
}

}  // namespace calliope::api::realtime
