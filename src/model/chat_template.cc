#include "model/chat_template.h"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/template_evaluator.h"
#include "model/template_parser.h"

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

jinja::Value message_value(const ChatMessage& message) {
  jinja::Value content;
  if (message.parts.size() == 1 && message.parts[0].type == "text") {
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
  return jinja::Dict{{"role", message.role}, {"content", std::move(content)}};
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
  return result;
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const {
  jinja::List list;
  for (const ChatMessage& message : messages) list.push_back(message_value(message));
  return jinja::run_template(*program_->root, {{"messages", std::move(list)},
                                               {"tools", jinja::None()},
                                               {"documents", jinja::None()},
                                               {"add_generation_prompt", add_generation_prompt},
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
