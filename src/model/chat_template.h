#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::model {

/// One piece of a message, as processors write it: {"type": "text", "text": ...}, {"type": "image"}, {"type": "audio"}.
struct ChatPart {
  std::string type;
  std::string text;
};

struct ChatToolCall {
  std::string id, name;
  std::string arguments;  ///< a JSON object
};

struct ChatMessage {
  std::string role;
  std::vector<ChatPart> parts;
  std::vector<ChatToolCall> tool_calls = {};
  std::string tool_call_id = {};
};

struct ChatTool {
  std::string name, description;
  std::string parameters;  ///< a JSON Schema; empty: an object without properties
};

/// Marks a person's text so that it makes no control tokens (Tokenizer::shield).
using ChatShield = std::function<std::string(std::string_view)>;

/// What a template sees beside the messages.
struct ChatContext {
  bool add_generation_prompt = true;
  std::vector<ChatTool> tools = {};
  ChatShield shield = {};  ///< for the strings of tools and calls, which only show when their JSON is read
};

/// A checkpoint's chat template: the part of Jinja that Hugging Face templates use.
class ChatTemplate {
 public:
  /// invalid_argument with the line of the mistake; unsupported for what this interpreter does not know.
  static Result<ChatTemplate> parse(std::string_view source);

  /// The prompt's text. A message of one text part is passed as a string, any other as a list of parts, as
  /// transformers' processors take them; tools and calls as its apply_chat_template takes them. For a template that knows
  /// no tools they are written into the messages as Qwen3's template would. Errors: what the template raises, or a limit
  /// (steps, output size) it runs into; invalid_argument when a tool's parameters are no JSON.
  Result<std::string> render(const std::vector<ChatMessage>& messages, const ChatContext& context = {}) const;

  /// Whether the template itself tells the model of tools.
  bool takes_tools() const { return takes_tools_; }

 private:
  struct Program;
  Result<std::string> rendered(const std::vector<ChatMessage>& messages, const ChatContext& context) const;
  std::shared_ptr<const Program> program_;
  bool takes_tools_ = false;
};

/// Finds the template of a checkpoint folder: chat_template.jinja, chat_template.json, tokenizer_config.json. not_found
/// when there is none.
Result<std::string> find_chat_template(const std::string& folder);

}  // namespace calliope::model
