// How fields of /v1/realtime's events are read. Only for this room's sources.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "api/json_reader.h"

namespace calliope::api::realtime {

inline std::unexpected<Error> unsupported(const JsonReader& field, std::string_view why) {
  return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field.path(), why), field.path());
}

inline Result<std::string> text(const JsonReader& field, size_t most) {
  if (field.missing()) return std::string();
  TRY(const std::string_view value, field.string());
  if (value.size() > most) return std::unexpected(field.value_error(fmt::format("at most {} bytes.", most)));
  return std::string(value);
}

/// Reads a field into `target` when it is there.
template <class T, class Parse>
Result<void> read(const JsonReader& field, T& target, Parse parse) {
  if (field.missing()) return {};
  TRY(target, parse(field));
  return {};
}

inline Result<void> read_flag(const JsonReader& field, bool& target) {
  return read(field, target, [](const JsonReader& f) { return f.boolean(); });
}

inline Result<void> read_ms(const JsonReader& field, int& target, int low, int high) {
  if (field.missing()) return {};
  TRY(const int64_t value, field.integer(low, high));
  target = static_cast<int>(value);
  return {};
}

}  // namespace calliope::api::realtime
