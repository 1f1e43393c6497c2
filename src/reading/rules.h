#pragma once

// The rules of spoken_text, each in the file that is named before it.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace calliope::reading {

/// What is said instead of the next `bytes` of the text.
struct Said {
  size_t bytes = 0;
  std::string words;
  bool joined = false;  ///< goes on with the word before it
};
using MaybeSaid = std::optional<Said>;

/// A place in the text.
struct Place {
  std::string_view text;
  size_t at = 0;
  std::string_view before = {};  ///< the word said last, as it was written

  /// The byte at an offset from here; 0 outside the text.
  char operator()(ptrdiff_t offset = 0) const {
    const size_t index = at + static_cast<size_t>(offset);
    return index < text.size() ? text[index] : '\0';
  }
  std::string_view rest(size_t offset = 0) const {
    return text.substr(at + offset < text.size() ? at + offset : text.size());
  }
};

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
inline bool is_letter(char c) { return is_upper(c) || is_lower(c); }
inline bool is_alnum(char c) { return is_letter(c) || is_digit(c); }
inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
/// Part of a character of other scripts.
inline bool is_foreign(char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; }
inline bool is_word(char c) { return is_alnum(c) || is_foreign(c); }

/// Digits and letters at the beginning of a text.
std::string_view digits_at(std::string_view text);
std::string_view letters_at(std::string_view text);
std::string lower(std::string_view text);
/// No word goes on at the beginning of the text.
inline bool word_ends(std::string_view text) { return text.empty() || !is_word(text[0]); }

/// A number as it is written: 1,234.5
struct Number {
  size_t bytes = 0;
  std::string whole;     ///< without commas
  std::string fraction;  ///< after the point
  bool grouped = false;
};
std::optional<Number> number_at(std::string_view text);
/// As a quantity: "one thousand two hundred thirty-four point five".
std::string quantity(const Number& number);

// numbers.cc
MaybeSaid say_number(const Place& place);
MaybeSaid say_money(const Place& place);
MaybeSaid say_phone(const Place& place);

// dates.cc: at digits, or at the name of a month; and clock times
MaybeSaid say_date(const Place& place);
MaybeSaid say_month(const Place& place);
MaybeSaid say_time(const Place& place);

// words.cc: at letters
MaybeSaid say_address(const Place& place);
MaybeSaid say_abbreviation(const Place& place);
MaybeSaid say_initialism(const Place& place);
MaybeSaid say_roman(const Place& place);
/// Whether a full stop after this word belongs to it: Mr, etc.
bool is_abbreviation(std::string_view word);

// markup.cc
/// At the beginning of a line: marks of lists, headings, quotes and rules. `words` may be a blank line that parts it
/// from what was before.
MaybeSaid say_line_start(const Place& place);
/// Symbols, and characters of no sound.
MaybeSaid say_symbol(const Place& place);

}  // namespace calliope::reading
