#include "model/chat_template.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/template_evaluator.h"
#include "model/template_parser.h"
#include "model/template_tools.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;

Result<std::string> slurp(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return fail(ErrorCode::io, path.string() + " is not a file", path.string());
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::io, "cannot read " + path.string(), path.string());
  return text.str();
}

// "chat_template" of a JSON file: a string, or a list of named templates of which "default" counts.
std::string template_in(const std::string& json) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* found = object ? object->if_contains("chat_template") : nullptr;
  if (!found) return {};
  if (found->is_string()) return std::string(found->get_string());
  if (!found->is_array()) return {};
  for (const auto& item : found->get_array()) {
    const auto* entry = item.if_object();
    const auto* name = entry ? entry->if_contains("name") : nullptr;
    const auto* text = entry ? entry->if_contains("template") : nullptr;
    if (name && text && name->is_string() && text->is_string() && name->get_string() == "default")
      return std::string(text->get_string());
  }
  return {};
}

jinja::Value message_value(const ChatMessage& message, const ChatShield& shield) {
  jinja::Value content;
  if (message.parts.empty()) {
    content = "";
  } else if (message.parts.size() == 1 && message.parts[0].type == "text") {
    content = message.parts[0].text;
  } else {
    jinja::List parts;
    for (const ChatPart& part : message.parts) {
      jinja::Dict fields{{"type", part.type}};
      if (part.type == "text") fields.emplace_back("text", part.text);
      parts.emplace_back(std::move(fields));
    }
    content = std::move(parts);
  }
  jinja::Dict fields{{"role", message.role}, {"content", std::move(content)}};
  if (!message.tool_calls.empty()) {
    jinja::List calls;
    for (const ChatToolCall& call : message.tool_calls) calls.push_back(call_value(call, shield));
    fields.emplace_back("tool_calls", std::move(calls));
  }
  if (!message.tool_call_id.empty()) fields.emplace_back("tool_call_id", shield ? shield(message.tool_call_id) : message.tool_call_id);
  return fields;
}

}  // namespace

struct ChatTemplate::Program {
  jinja::NodePtr root;
};

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto program = std::make_shared<Program>();
  TRY(program->root, jinja::parse_template(source));
  ChatTemplate result;
  result.program_ = std::move(program);
  if (source.find("tools") != std::string_view::npos) {
    constexpr const char* kProbe = "probe_of_tools";
    const auto probed = result.rendered({{"user", {{"text", "hi"}}}}, {.tools = {{kProbe, "", ""}}});
    result.takes_tools_ = probed && probed->find(kProbe) != std::string::npos;
  }
  return result;
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage>& messages, const ChatContext& context) const {
  if (takes_tools_) return rendered(messages, context);
  const bool plain = context.tools.empty() && std::ranges::none_of(messages, [](const ChatMessage& message) {
                       return message.role == "tool" || !message.tool_calls.empty();
                     });
  if (plain) return rendered(messages, context);
  TRY(const auto spelled, without_tools(messages, context));
  return rendered(spelled, {.add_generation_prompt = context.add_generation_prompt});
}

Result<std::string> ChatTemplate::rendered(const std::vector<ChatMessage>& messages, const ChatContext& context) const {
  jinja::List list;
  for (const ChatMessage& message : messages) list.push_back(message_value(message, context.shield));
  jinja::Value tools = jinja::None();
  if (!context.tools.empty()) {
    jinja::List values;
    for (const ChatTool& tool : context.tools) {
      TRY(jinja::Value value, tool_value(tool, context.shield));
      values.push_back(std::move(value));
    }
    tools = std::move(values);
  }
  return jinja::run_template(*program_->root, {{"messages", std::move(list)},
                                               {"tools", std::move(tools)},
                                               {"documents", jinja::None()},
                                               {"add_generation_prompt", context.add_generation_prompt},
                                               {"bos_token", ""},
                                               {"eos_token", ""}});
}

Result<std::string> find_chat_template(const std::string& folder) {
  const fs::path root(folder);
  std::error_code ignored;
  if (fs::exists(root / "chat_template.jinja", ignored)) return slurp(root / "chat_template.jinja");
  for (const char* name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"}) {
    if (!fs::exists(root / name, ignored)) continue;
    TRY(const std::string text, slurp(root / name));
    if (std::string found = template_in(text); !found.empty()) return found;
  }
  return fail(ErrorCode::not_found,
              folder + " has no chat template: chat_template.jinja, chat_template.json or tokenizer_config.json",
              folder);
}

}  // namespace calliope::model
