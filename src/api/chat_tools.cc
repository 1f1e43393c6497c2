#include "api/chat_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace calliope::api {
namespace {

using assistant::ToolChoice;

constexpr size_t kMostTools = 128, kMostNameBytes = 64, kMostToolBytes = 64u << 10, kMostCalls = 128, kMostArgumentBytes = 1u << 20;

std::unexpected<Error> unsupported(const JsonReader& field, std::string_view why) {
  return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field.path(), why), field.path());
}

Result<std::string> name_of(const JsonReader& field) {
  TRY(const std::string_view name, field.string());
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
  if (name.empty() || name.size() > kMostNameBytes || !std::ranges::all_of(name, plain)) {
    return std::unexpected(field.value_error("expected 1 to 64 letters, digits, '_', '-' or '.'."));
  }
  return std::string(name);
}

Result<void> check_type(const JsonReader& object) {
  TRY_VOID(object.object());
  const JsonReader type = object.member("type");
  TRY(const std::string_view name, type.string());
  if (name != "function") return unsupported(type, "this server calls functions only.");
  return object.member("function").object();
}

Result<assistant::Tool> tool(const JsonReader& entry) {
  TRY_VOID(check_type(entry));
  const JsonReader function = entry.member("function");
  assistant::Tool tool;
  TRY(tool.name, name_of(function.member("name")));
  if (const auto description = function.member("description"); !description.missing()) {
    TRY(tool.description, description.string());
    if (tool.description.size() > kMostToolBytes) return std::unexpected(description.value_error("at most 64 KiB."));
  }
  if (const auto strict = function.member("strict"); !strict.missing()) TRY_VOID(strict.boolean());
  if (const auto parameters = function.member("parameters"); !parameters.missing()) {
    TRY_VOID(parameters.object());
    tool.parameters = parameters.serialized();
    if (tool.parameters.size() > kMostToolBytes) return std::unexpected(parameters.value_error("at most 64 KiB."));
  }
  return tool;
}

Result<std::vector<assistant::Tool>> tools(const JsonReader& field) {
  std::vector<assistant::Tool> result;
  if (field.missing()) return result;
  if (!field.is_array()) return std::unexpected(field.type_error("an array"));
  if (field.size() > kMostTools) return std::unexpected(field.value_error(fmt::format("at most {} tools.", kMostTools)));
  for (size_t i = 0; i < field.size(); ++i) {
    TRY(assistant::Tool one, tool(field.element(i)));
    if (std::ranges::find(result, one.name, &assistant::Tool::name) != result.end()) {
      return std::unexpected(field.element(i).value_error(fmt::format("there are two tools named '{}'.", one.name)));
    }
    result.push_back(std::move(one));
  }
  return result;
}

Result<ToolChoice> tool_choice(const JsonReader& field, const std::vector<assistant::Tool>& tools) {
  ToolChoice choice;
  if (field.missing()) return choice;
  if (field.is_object()) {
    TRY_VOID(check_type(field));
    choice.kind = ToolChoice::Kind::named;
    const JsonReader name = field.member("function").member("name");
    TRY(choice.name, name.string());
    if (std::ranges::find(tools, choice.name, &assistant::Tool::name) == tools.end()) {
      return std::unexpected(name.value_error(fmt::format("there is no tool named '{}'.", choice.name)));
    }
    return choice;
  }
  if (!field.is_string()) return std::unexpected(field.type_error("a string or an object"));
  TRY(const std::string_view name, field.string());
  if (name == "required") {
    choice.kind = ToolChoice::Kind::required;
    if (tools.empty()) return std::unexpected(field.value_error("'required' needs tools."));
  } else if (name == "none") {
    choice.kind = ToolChoice::Kind::none;
  } else if (name != "auto") {
    return std::unexpected(field.value_error("expected 'auto', 'none', 'required' or an object that names a function."));
  }
  return choice;
}

// The JSON Schema of the answer; empty: free text.
Result<std::string> response_schema(const JsonReader& format) {
  if (format.missing()) return std::string();
  TRY_VOID(format.object());
  const JsonReader type = format.member("type");
  TRY(const std::string_view name, type.string());
  if (name == "text") return std::string();
  if (name == "json_object") return std::string(R"({"type":"object"})");
  if (name != "json_schema") return std::unexpected(type.value_error("expected 'text', 'json_object' or 'json_schema'."));
  const JsonReader named = format.member("json_schema");
  TRY_VOID(named.object());
  if (const auto title = named.member("name"); !title.missing()) TRY_VOID(title.string());
  const JsonReader schema = named.member("schema");
  if (schema.missing()) return std::string(R"({"type":"object"})");
  TRY_VOID(schema.object());
  return schema.serialized();
}

}  // namespace

Result<void> parse_tools_and_format(const JsonReader& root, assistant::Request& request) {
  for (const char* old : {"functions", "function_call"}) {
    if (const auto field = root.member(old); !field.missing()) return unsupported(field, "it is out of use; send tools and tool_choice.");
  }
  TRY(request.tools, tools(root.member("tools")));
  TRY(request.tool_choice, tool_choice(root.member("tool_choice"), request.tools));
  if (const auto field = root.member("parallel_tool_calls"); !field.missing()) {
    TRY(request.parallel_tool_calls, field.boolean());
  }
  TRY(request.json_schema, response_schema(root.member("response_format")));
  return {};
}

Result<std::vector<assistant::ToolCall>> parse_tool_calls(const JsonReader& field) {
  std::vector<assistant::ToolCall> calls;
  if (field.missing()) return calls;
  if (!field.is_array()) return std::unexpected(field.type_error("an array"));
  if (field.size() > kMostCalls) return std::unexpected(field.value_error(fmt::format("at most {} calls.", kMostCalls)));
  for (size_t i = 0; i < field.size(); ++i) {
    const JsonReader entry = field.element(i);
    TRY_VOID(check_type(entry));
    const JsonReader function = entry.member("function"), arguments = function.member("arguments");
    assistant::ToolCall call;
    TRY(call.id, entry.member("id").string());
    TRY(call.name, name_of(function.member("name")));
    TRY(call.arguments, arguments.string());
    if (call.arguments.size() > kMostArgumentBytes) return std::unexpected(arguments.value_error("at most 1 MiB."));
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace calliope::api
