#pragma once

namespace calliope::server {

/// How the log is written: lines for people, or a JSON object a line.
enum class LogFormat { text, json };

}  // namespace calliope::server
