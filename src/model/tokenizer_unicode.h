#pragma once

#include <string>
#include <string_view>

namespace calliope::model {

/// Canonical composition (NFC) of valid UTF-8 as the `tokenizers` library composes it: by Unicode 9, so that marks
/// assigned later neither move nor join. n log n in the length, whatever the marks.
std::string normalize_nfc(std::string_view text);

/// A pattern of a tokenizer.json, written for Oniguruma (Unicode 16), as PCRE2 must see it to match the same
/// characters: letters, numbers and marks that Unicode 15 and 16 added, and no U+180E in \s.
std::string pattern_for_pcre2(std::string_view pattern);

/// \s and \w of Rust's regex crate, by which added tokens strip blanks and find whole words.
bool is_space(char32_t c);
bool is_word(char32_t c);

}  // namespace calliope::model
