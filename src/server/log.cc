#include "server/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "base/utf8.h"
#include "server/connection.h"

namespace calliope::server {

namespace {

std::atomic<LogFormat> g_format = LogFormat::text;

std::string json_string(std::string_view text) { return boost::json::serialize(boost::json::string(utf8_lossy(text))); }

/// The message as a JSON string.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string text = json_string({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

/// `rest` is the pattern after time and level.
std::shared_ptr<spdlog::logger> json_logger(std::string_view name, std::string_view rest) {
  auto instance = spdlog::stderr_logger_mt(std::string(name));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*').set_pattern(
      fmt::format(R"({{"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",{}}})", rest));
  instance->set_formatter(std::move(formatter));
  return instance;
}

spdlog::logger& text_logger() {
  static const std::shared_ptr<spdlog::logger> instance = spdlog::stderr_color_mt("server");
  return *instance;
}

/// Takes the fields of a line, without braces.
spdlog::logger& field_logger() {
  static const std::shared_ptr<spdlog::logger> instance = json_logger("fields", "%v");
  return *instance;
}

}  // namespace

void set_log_format(LogFormat format) { g_format = format; }

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> json = json_logger("json", R"("event":"message","message":%*)");
  return g_format == LogFormat::json ? *json : text_logger();
}

LogLine::LogLine(std::string_view event) : json_(g_format == LogFormat::json) {
  line_ = json_ ? fmt::format(R"("event":"{}")", event) : std::string(event);
}

LogLine& LogLine::add(std::string_view key, std::string_view value) {
  line_ += json_ ? fmt::format(R"(,"{}":{})", key, value) : fmt::format(" {}={}", key, value);
  return *this;
}

LogLine& LogLine::word(std::string_view key, std::string_view value) {
  return add(key, json_ ? json_string(value) : std::string(value));
}

LogLine& LogLine::text(std::string_view key, std::string_view value, size_t most) {
  std::string plain = utf8_lossy(value.substr(0, most));
  std::ranges::replace_if(plain, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  if (value.size() > most) plain += "...";
  return add(key, json_string(plain));
}

LogLine& LogLine::number(std::string_view key, int64_t value) { return add(key, fmt::format("{}", value)); }
LogLine& LogLine::milliseconds(std::string_view key, double value) { return add(key, fmt::format("{:.1f}", value)); }

void LogLine::write(spdlog::level::level_enum level) const { (json_ ? field_logger() : text_logger()).log(level, line_); }

void write_log(const RequestLog& log) {
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - log.start).count();
  LogLine line("request");
  line.word("id", log.id).word("method", log.method.substr(0, 16)).text("path", log.path, 200).number("status", log.status);
  line.word("outcome", log.outcome).milliseconds("ms", ms);
  line.number("in", static_cast<int64_t>(log.bytes_in)).number("out", static_cast<int64_t>(log.bytes_out));
  if (log.first_ms >= 0) line.milliseconds("first_ms", log.first_ms);
  if (log.first_audio_ms >= 0) line.milliseconds("first_audio_ms", log.first_audio_ms);
  if (log.usage.prompt_tokens > 0) {
    line.number("prompt_tokens", log.usage.prompt_tokens).number("cached_tokens", log.usage.prompt_cached_tokens);
    line.number("completion_tokens", log.usage.completion_tokens).number("audio_frames", log.usage.completion_audio_frames);
  }
  if (!log.detail.empty()) line.text("detail", log.detail);
  line.write(log.status >= 500 ? spdlog::level::warn : spdlog::level::info);
}

}  // namespace calliope::server
