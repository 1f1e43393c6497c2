#pragma once

#include <vector>

#include "api/chat_request.h"
#include "api/json_reader.h"

namespace calliope::api {

/// Reads `messages`, media decoded. developer counts as system.
Result<std::vector<assistant::Turn>> parse_messages(const JsonReader& messages, const ChatContext& context);

}  // namespace calliope::api
