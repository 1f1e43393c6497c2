#pragma once

#include <spdlog/logger.h>

namespace calliope::server {

/// The server's own log, on stderr.
spdlog::logger& logger();

}  // namespace calliope::server
