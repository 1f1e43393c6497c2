#pragma once

#include <string>
#include <string_view>

#include "eval/task.h"

namespace calliope::eval {

/// The chat-completions body that asks an item; choices are listed as letters. Errors: a file that cannot be read, a kind of
/// picture or sound that has no name there.
Result<std::string> chat_body(const Task& task, const Item& item, const std::string& model);

/// The text of a chat completion; an error holds what the server said.
Result<std::string> chat_answer(std::string_view body);

}  // namespace calliope::eval
