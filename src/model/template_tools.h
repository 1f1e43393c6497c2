#pragma once

#include <vector>

#include "model/chat_template.h"
#include "model/template_value.h"

namespace calliope::model {

/// A tool and a call as a template sees them. A call whose arguments are no JSON object keeps them as text.
Result<jinja::Value> tool_value(const ChatTool& tool, const ChatShield& shield);
jinja::Value call_value(const ChatToolCall& call, const ChatShield& shield);

/// The same conversation for a template that knows no tools, written as Qwen3's writes it: their descriptions at the end of
/// the system turn, calls in <tool_call>, what tools answered in <tool_response> of a user turn.
Result<std::vector<ChatMessage>> without_tools(const std::vector<ChatMessage>& messages, const ChatContext& context);

}  // namespace calliope::model
