#pragma once

#include <spdlog/logger.h>

#include <string>
#include <string_view>

#include "server/log_format.h"

namespace calliope::server {

/// For all servers of this process; text until it is called.
void set_log_format(LogFormat format);

/// The server's own log, on stderr, for plain messages.
spdlog::logger& logger();

/// One line of the log with named fields: `event key=value ...`, or in JSON {"time", "level", "event", key: value ...}.
class LogLine {
 public:
  explicit LogLine(std::string_view event);

  /// A word of ours: no spaces or quotes in it.
  LogLine& word(std::string_view key, std::string_view value);
  /// Text from outside: cut after `most` bytes; control characters become '?', invalid UTF-8 U+FFFD.
  LogLine& text(std::string_view key, std::string_view value, size_t most = 300);
  LogLine& number(std::string_view key, int64_t value);
  LogLine& milliseconds(std::string_view key, double value);

  void write(spdlog::level::level_enum level = spdlog::level::info) const;

 private:
  LogLine& add(std::string_view key, std::string_view value);
  const bool json_;
  std::string line_;
};

}  // namespace calliope::server
