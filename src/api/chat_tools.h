#pragma once

#include <vector>

#include "api/json_reader.h"
#include "assistant/request.h"

namespace calliope::api {

/// Reads `tools`, `tool_choice`, `parallel_tool_calls` and `response_format` of a chat-completions body into the request.
/// Whether a schema can be held is the engine's to say.
Result<void> parse_tools_and_format(const JsonReader& root, assistant::Request& request);

/// Reads `tool_calls` of an assistant message; none when it is missing.
Result<std::vector<assistant::ToolCall>> parse_tool_calls(const JsonReader& field);

}  // namespace calliope::api
