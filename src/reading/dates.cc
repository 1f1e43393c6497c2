#include <algorithm>
#include <array>
#include <string>

#include "reading/number_words.h"
#include "reading/rules.h"

namespace calliope::reading {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

int value_of(std::string_view digits) {
  int value = 0;
  for (const char digit : digits) value = value * 10 + (digit - '0');
  return value;
}

// The month's full name; `bytes` its length as written, with the full stop of a short one. Empty: none.
std::string_view month_at(std::string_view text, size_t& bytes) {
  const std::string_view letters = letters_at(text);
  if (letters.size() < 3 || !is_upper(letters[0])) return {};
  for (const std::string_view month : kMonths) {
    const bool whole = letters == month,
               part = letters == month.substr(0, 3) || (letters == "Sept" && month == "September");
    if (!whole && !part) continue;
    bytes = letters.size() + (!whole && text.substr(letters.size(), 1) == "." ? 1 : 0);
    return month;
  }
  return {};
}

// A day of the month, with or without st, nd, rd, th.
std::string_view day_at(std::string_view text, size_t& bytes) {
  const std::string_view digits = digits_at(text);
  if (digits.empty() || digits.size() > 2 || value_of(digits) < 1 || value_of(digits) > 31) return {};
  const std::string_view letters = letters_at(text.substr(digits.size()));
  const std::string small = lower(letters);
  const bool suffix = small == "st" || small == "nd" || small == "rd" || small == "th";
  bytes = digits.size() + (suffix ? 2 : 0);
  return word_ends(text.substr(bytes)) ? digits : std::string_view();
}

std::string_view year_at(std::string_view text) {
  const std::string_view digits = digits_at(text);
  const bool sound = digits.size() == 4 && digits[0] != '0' && word_ends(text.substr(4));
  return sound ? digits : std::string_view();
}

std::string_view without_zero(std::string_view digits) {
  return digits.size() == 2 && digits[0] == '0' ? digits.substr(1) : digits;
}

std::string said_date(int month, std::string_view day, std::string_view the_year) {
  std::string words = std::string(kMonths[static_cast<size_t>(month - 1)]) + " " + ordinal(without_zero(day));
  if (!the_year.empty()) words.append(", ").append(year(the_year));
  return words;
}

// 2026-11-25
MaybeSaid say_iso(std::string_view text) {
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const std::string_view y = digits_at(text.substr(0, 4)), m = digits_at(text.substr(5, 2)),
                         d = digits_at(text.substr(8, 2));
  if (y.size() != 4 || m.size() != 2 || d.size() != 2 || y[0] == '0') return std::nullopt;
  if (value_of(m) < 1 || value_of(m) > 12 || value_of(d) < 1 || value_of(d) > 31) return std::nullopt;
  const std::string_view after = text.substr(10);
  const bool time = after.size() > 1 && after[0] == 'T' && is_digit(after[1]);
  if (!time && !word_ends(after)) return std::nullopt;
  return Said{time ? size_t{11} : size_t{10}, said_date(value_of(m), d, y)};
}

// 11/25/2026, 25.11.2026
MaybeSaid say_numeric(std::string_view text) {
  const std::string_view first = digits_at(text);
  const std::string_view sign = text.substr(first.size(), 1);
  if (first.size() > 2 || (sign != "/" && sign != ".")) return std::nullopt;
  const std::string_view second = digits_at(text.substr(first.size() + 1));
  const size_t at = first.size() + 1 + second.size();
  if (second.empty() || second.size() > 2 || text.substr(at, 1) != sign) return std::nullopt;
  const std::string_view y = year_at(text.substr(at + 1));
  if (y.empty()) return std::nullopt;
  // With points the day comes first, with slashes the month, if it can be one.
  std::string_view month = first, day = second;
  if (sign == "." || value_of(first) > 12) std::swap(month, day);
  if (value_of(month) < 1 || value_of(month) > 12 || value_of(day) < 1 || value_of(day) > 31) return std::nullopt;
  return Said{at + 5, said_date(value_of(month), day, y)};
}

// am, p.m.; its bytes with the blank before it, 0: none.
size_t half_at(std::string_view text, char& half) {
  const size_t blank = text.starts_with(' ') ? 1 : 0;
  const std::string rest = lower(text.substr(blank, 4));
  if (rest.size() < 2 || (rest[0] != 'a' && rest[0] != 'p')) return 0;
  half = rest[0];
  if (rest == std::string{half, '.', 'm', '.'}) {
    // The last full stop may end the sentence as well.
    const std::string_view after = text.substr(blank + 4);
    const bool ends = after.empty() || after[0] == '\n' || (after.size() > 1 && after[0] == ' ' && is_upper(after[1]));
    return blank + (ends ? 3 : 4);
  }
  return rest[1] == 'm' && word_ends(text.substr(std::min(text.size(), blank + 2))) ? blank + 2 : 0;
}

std::string half_words(char half) { return half == 'a' ? " a m" : " p m"; }

}  // namespace

MaybeSaid say_date(const Place& place) {
  const std::string_view text = place.rest();
  if (auto said = say_iso(text)) return said;
  if (auto said = say_numeric(text)) return said;
  // 25 Nov 2026
  size_t day_bytes = 0, month_bytes = 0;
  const std::string_view day = day_at(text, day_bytes);
  if (day.empty() || text.substr(day_bytes, 1) != " ") return std::nullopt;
  const std::string_view month = month_at(text.substr(day_bytes + 1), month_bytes);
  size_t end = day_bytes + 1 + month_bytes;
  if (month.empty() || !word_ends(text.substr(end))) return std::nullopt;
  std::string words =
      (lower(place.before) == "the" ? "" : "the ") + ordinal(without_zero(day)) + " of " + std::string(month);
  const size_t gap = text.substr(end).starts_with(", ") ? 2 : 1;
  if (const std::string_view y = year_at(text.substr(std::min(text.size(), end + gap)));
      !y.empty() && text[end + gap - 1] == ' ') {
    words.append(", ").append(year(y));
    end += gap + 4;
  }
  return Said{end, words};
}

MaybeSaid say_month(const Place& place) {
  const std::string_view text = place.rest();
  size_t bytes = 0;
  const std::string_view month = month_at(text, bytes);
  if (month.empty() || !word_ends(text.substr(bytes))) return std::nullopt;
  const bool is_short = letters_at(text) != month;
  std::string words(month);
  if (text.substr(bytes, 1) == " " && is_digit(place(static_cast<ptrdiff_t>(bytes) + 1))) {
    const std::string_view rest = text.substr(bytes + 1);
    if (const std::string_view y = year_at(rest); !y.empty()) return Said{bytes + 5, words + " " + year(y)};
    size_t day_bytes = 0;
    if (const std::string_view day = day_at(rest, day_bytes); !day.empty() && rest.substr(day_bytes, 1) != ":") {
      words.append(" ").append(ordinal(without_zero(day)));
      size_t end = bytes + 1 + day_bytes;
      const std::string_view after = text.substr(end);
      const size_t gap = after.starts_with(", ") ? 2 : after.starts_with(' ') ? 1 : 0;
      if (const std::string_view y = gap > 0 ? year_at(after.substr(gap)) : std::string_view(); !y.empty()) {
        words.append(", ").append(year(y));
        end += gap + 4;
      }
      return Said{end, words};
    }
  }
  // "Mar" and "Jan" alone may be names.
  if (is_short && text.substr(bytes - 1, 1) != ".") return std::nullopt;
  return is_short ? MaybeSaid(Said{bytes, words}) : std::nullopt;
}

MaybeSaid say_time(const Place& place) {
  const std::string_view text = place.rest();
  const std::string_view hour = digits_at(text);
  if (hour.size() > 2 || value_of(hour) > 24) return std::nullopt;
  const std::string hour_words = cardinal(without_zero(hour));
  char half = 0;
  if (text.substr(hour.size(), 1) != ":") {
    const size_t bytes = value_of(hour) <= 12 ? half_at(text.substr(hour.size()), half) : 0;
    return bytes > 0 ? MaybeSaid(Said{hour.size() + bytes, hour_words + half_words(half)}) : std::nullopt;
  }
  const std::string_view minute = digits_at(text.substr(hour.size() + 1));
  if (minute.size() != 2 || value_of(minute) > 59) return std::nullopt;
  size_t end = hour.size() + 3;
  std::string words = hour_words;
  if (text.substr(end, 1) == ":") {  // with seconds
    const std::string_view second = digits_at(text.substr(end + 1));
    if (second.size() != 2 || value_of(second) > 59 || !word_ends(text.substr(end + 3))) return std::nullopt;
    words.append(" ").append(minutes(minute)).append(" and ").append(cardinal(without_zero(second)));
    words.append(value_of(second) == 1 ? " second" : " seconds");
    return Said{end + 3, words};
  }
  const size_t half_bytes = half_at(text.substr(end), half);
  if (half_bytes == 0 && !word_ends(text.substr(end))) return std::nullopt;
  if (minute != "00")
    words.append(" ").append(minutes(minute));
  else if (half_bytes == 0)
    words += value_of(hour) >= 1 && value_of(hour) <= 12 ? " o'clock" : " hundred";
  if (half_bytes > 0) words += half_words(half);
  return Said{end + half_bytes, words};
}

}  // namespace calliope::reading
