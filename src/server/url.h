#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace calliope::server {

/// %41 -> A. None when it is no valid escape.
inline std::optional<std::string> percent_decode(std::string_view text) {
  std::string result;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    result.push_back(static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2])));
    i += 2;
  }
  return result;
}

}  // namespace calliope::server
