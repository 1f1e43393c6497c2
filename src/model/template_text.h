#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace calliope::model::jinja {

/// What Python's str methods do, on valid UTF-8.

/// str.isspace of one character.
bool python_space(char32_t c);
/// Without the characters of `set` at its ends, or without blanks when there is none.
std::string_view stripped(std::string_view text, const std::optional<std::string_view>& set, bool left, bool right);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);
/// Jinja's title filter: a capital after blanks, '-', '(', '{', '[' and '<'.
std::string titled(std::string_view text);
std::vector<std::string> characters(std::string_view text);
int64_t length(std::string_view text);
/// At most `most` cuts; -1 for all. No separator: at runs of blanks. From the right when `right`.
std::vector<std::string> split(std::string_view text, const std::optional<std::string_view>& separator, int64_t most,
                               bool right);
std::vector<std::string> split_lines(std::string_view text);
/// The first `most` places, -1 for all; none when the result would be over `limit` bytes.
std::optional<std::string> replaced(std::string_view text, std::string_view from, std::string_view to, int64_t most,
                                    size_t limit);
/// Whether all characters are (isdigit, isalpha, isalnum, isspace, isupper, islower), and there is one.
bool all_are(std::string_view text, std::string_view method);

/// repr() of a string and of a float; a string in JSON.
std::string quoted(std::string_view text);
std::string float_text(double value);
std::string json_quoted(std::string_view text, bool ensure_ascii);
std::string html_escaped(std::string_view text);

}  // namespace calliope::model::jinja
