// Fields that a session and a response share.
#include "api/realtime_fields.h"

#include <algorithm>
#include <cctype>

#include "api/realtime_session.h"

namespace calliope::api::realtime {

using assistant::ToolChoice;
using media::WireFormat;

namespace {

constexpr size_t kMostTools = 128, kToolBytes = 64 << 10;

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

Result<WireFormat> parse_beta_format(const JsonReader& field) {
  TRY(const std::string_view name, field.string());
  if (name == "pcm16") return WireFormat::pcm16;
  if (name == "g711_ulaw") return WireFormat::mulaw;
  if (name == "g711_alaw") return WireFormat::alaw;
  return std::unexpected(field.value_error("expected one of 'pcm16', 'g711_ulaw' or 'g711_alaw'."));
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

}  // namespace calliope::api::realtime
