#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "server/connection.h"
#include "server/logger.h"

namespace calliope::server {

namespace {

/// What a client sent, fit for one line of a log.
std::string quoted(std::string_view text, size_t most) {
  std::string result = "\"";
  for (const unsigned char c : text.substr(0, most)) {
    if (c == '"' || c == '\\') result.push_back('\\');
    result.push_back(c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c));
  }
  if (text.size() > most) result += "...";
  return result + "\"";
}

}  // namespace

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = spdlog::stderr_color_mt("server");
  return *instance;
}

void write_log(const RequestLog& log) {
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - log.start).count();
  std::string line = fmt::format("request id={} method={} path={} status={} outcome={} ms={:.1f} in={} out={}", log.id,
                                 log.method.substr(0, 16), quoted(log.path, 200), log.status, log.outcome, ms,
                                 log.bytes_in, log.bytes_out);
  if (log.first_ms >= 0) line += fmt::format(" first_ms={:.1f}", log.first_ms);
  if (log.usage.prompt_tokens > 0) {
    line += fmt::format(" prompt_tokens={} completion_tokens={} audio_frames={}", log.usage.prompt_tokens,
                        log.usage.completion_tokens, log.usage.completion_audio_frames);
  }
  if (!log.detail.empty()) line += " detail=" + quoted(log.detail, 300);
  logger().log(log.status >= 500 ? spdlog::level::warn : spdlog::level::info, line);
}

}  // namespace calliope::server
