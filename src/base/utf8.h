#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace calliope {

/// Bytes as valid UTF-8: every maximal invalid part becomes one U+FFFD (Unicode 15, section 3.9; Rust's from_utf8_lossy).
std::string utf8_lossy(std::string_view bytes);

/// True when the bytes are valid UTF-8.
bool utf8_valid(std::string_view bytes);

/// Length of the longest prefix that does not end inside a character that more bytes could complete.
size_t utf8_complete_prefix(std::string_view bytes);

/// Appends one code point, which must be a scalar value.
void utf8_append(std::string& out, char32_t code_point);

/// Decodes the character at `at`, which must begin a valid one, and moves `at` past it.
char32_t utf8_next(std::string_view text, size_t& at);

}  // namespace calliope
