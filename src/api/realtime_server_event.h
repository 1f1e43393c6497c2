#pragma once

#include <string>

#include "api/realtime_types.h"

namespace calliope::api::realtime {

/// The event as JSON text, in the names of the dialect; empty when the dialect does not have it.
std::string to_json(const ServerEvent& event, std::string_view event_id, Dialect dialect);

/// The answer to POST /v1/realtime/client_secrets.
std::string client_secret_json(std::string_view secret, int64_t expires_at_s, const Session& session,
                               std::string_view session_id);

}  // namespace calliope::api::realtime
