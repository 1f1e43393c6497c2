#include "model/template_tools.h"

#include <utility>

#include "model/template_json.h"

namespace calliope::model {
namespace {

std::string shielded(std::string_view text, const ChatShield& shield) { return shield ? shield(text) : std::string(text); }

ChatMessage& append_text(ChatMessage& message, std::string_view text) {
  if (message.parts.empty() || message.parts.back().type != "text") message.parts.push_back({"text", ""});
  message.parts.back().text += text;
  return message;
}

Result<std::string> instructions(const ChatContext& context) {
  std::string text =
      "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
      "signatures within <tools></tools> XML tags:\n<tools>";
  for (const ChatTool& tool : context.tools) {
    TRY(const jinja::Value value, tool_value(tool, context.shield));
    text += '\n';
    text += jinja::to_json(value);
  }
  return text +
         "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
         "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
         "<args-json-object>}\n</tool_call>";
}

std::string spelled(const ChatToolCall& call, const ChatShield& shield) {
  const jinja::Value value = call_value(call, shield);
  const jinja::Value& function = *value.get("function");
  const jinja::Value& arguments = *function.get("arguments");
  return "<tool_call>\n{\"name\": \"" + *function.get("name")->text() +
         "\", \"arguments\": " + (arguments.text() ? *arguments.text() : jinja::to_json(arguments)) + "}\n</tool_call>";
}

}  // namespace

Result<jinja::Value> tool_value(const ChatTool& tool, const ChatShield& shield) {
  jinja::Dict function;
  function.emplace_back("name", jinja::Value(shielded(tool.name, shield)));
  if (!tool.description.empty()) function.emplace_back("description", jinja::Value(shielded(tool.description, shield)));
  const std::string_view parameters = tool.parameters.empty() ? R"({"type": "object", "properties": {}})" : std::string_view(tool.parameters);
  auto schema = jinja::from_json(parameters, shield);
  if (!schema) return fail(ErrorCode::invalid_argument, "the parameters of the tool '" + tool.name + "' are " + schema.error().message, "tools");
  function.emplace_back("parameters", std::move(*schema));
  return jinja::Value(jinja::Dict{{"type", "function"}, {"function", std::move(function)}});
}

jinja::Value call_value(const ChatToolCall& call, const ChatShield& shield) {
  auto arguments = jinja::from_json(call.arguments, shield);
  const bool object = arguments && arguments->dict();
  jinja::Dict function{{"name", shielded(call.name, shield)},
                       {"arguments", object ? std::move(*arguments) : jinja::Value(shielded(call.arguments, shield))}};
  return jinja::Dict{{"type", "function"}, {"id", shielded(call.id, shield)}, {"function", std::move(function)}};
}

Result<std::vector<ChatMessage>> without_tools(const std::vector<ChatMessage>& messages, const ChatContext& context) {
  std::vector<ChatMessage> out;
  bool answers = false;  // the last message of `out` holds what tools answered
  for (const ChatMessage& message : messages) {
    if (message.role == "tool") {
      if (!answers) out.push_back({"user", {}});
      append_text(out.back(), answers ? "\n<tool_response>\n" : "<tool_response>\n");
      for (const ChatPart& part : message.parts) append_text(out.back(), part.text);
      append_text(out.back(), "\n</tool_response>");
      answers = true;
      continue;
    }
    answers = false;
    out.push_back({message.role, message.parts});
    for (const ChatToolCall& call : message.tool_calls) {
      const bool first = out.back().parts.empty() || (out.back().parts.size() == 1 && out.back().parts[0].text.empty());
      append_text(append_text(out.back(), first ? "" : "\n"), spelled(call, context.shield));
    }
  }
  if (context.tools.empty()) return out;
  TRY(std::string text, instructions(context));
  if (!out.empty() && out[0].role == "system") append_text(append_text(out[0], "\n\n"), text);
  else out.insert(out.begin(), {"system", {{"text", std::move(text)}}});
  return out;
}

}  // namespace calliope::model
