#pragma once

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

struct ChatMessage {
  std::string role;
  std::vector<ChatPart> parts;
};

/// A checkpoint's chat template: the part of Jinja that Hugging Face templates use.
class ChatTemplate {
 public:
  /// invalid_argument with the line of the mistake; unsupported for what this interpreter does not know.
  static Result<ChatTemplate> parse(std::string_view source);

  /// The prompt's text. A message of one text part is passed as a string, any other as a list of parts, as
  /// transformers' processors take them. Errors: what the template raises, or a limit (steps, output size) it runs
  /// into.
  Result<std::string> render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

/// Finds the template of a checkpoint folder: chat_template.jinja, chat_template.json, tokenizer_config.json. not_found
/// when there is none.
Result<std::string> find_chat_template(const std::string& folder);

}  // namespace calliope::model
