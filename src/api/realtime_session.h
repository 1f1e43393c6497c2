#pragma once

#include <boost/json/object.hpp>
#include <span>

#include "api/json_reader.h"
#include "api/realtime_types.h"

namespace calliope::api::realtime {

/// Reads a session's fields, in GA's or the beta's shape, over what it was set to before. `models`: names served;
/// empty: any.
Result<Session> parse_session(const JsonReader& json, Session before, std::span<const std::string> models);

// Fields a session and a response share.
Result<bool> parse_modalities(const JsonReader& json);
Result<media::WireFormat> parse_format(const JsonReader& json);
/// By the beta's names.
Result<media::WireFormat> parse_beta_format(const JsonReader& json);
Result<std::string> parse_voice(const JsonReader& json);
Result<std::vector<assistant::Tool>> parse_tools(const JsonReader& json);
Result<assistant::ToolChoice> parse_tool_choice(const JsonReader& json);
/// None for "inf".
Result<std::optional<int>> parse_max_tokens(const JsonReader& json);

/// As RealtimeSessionCreateResponseGA or the beta's RealtimeSession.
boost::json::object session_json(const Session& session, std::string_view id, int64_t expires_at_s, Dialect dialect);
boost::json::object format_json(media::WireFormat format);
std::string_view beta_format(media::WireFormat format);

}  // namespace calliope::api::realtime
