#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "reading/rules.h"

namespace calliope::reading {
namespace {

constexpr size_t kMostLinkBytes = 400;

std::string_view line_at(std::string_view text) { return text.substr(0, std::min(text.find('\n'), text.size())); }

// Letters with accents, from U+00C0 to U+017F, by the plain letters that English speakers say for them.
constexpr std::string_view kPlain[] = {
    "A", "A",          "A",  "A",  "A", "A",     "Ae", "C",  "E",  "E", "E", "E", "I",  "I",  "I", "I", "D", "N",
    "O", "O",          "O",  "O",  "O", "times", "O",  "U",  "U",  "U", "U", "Y", "Th", "ss", "a", "a", "a", "a",
    "a", "a",          "ae", "c",  "e", "e",     "e",  "e",  "i",  "i", "i", "i", "d",  "n",  "o", "o", "o", "o",
    "o", "divided by", "o",  "u",  "u", "u",     "u",  "y",  "th", "y", "A", "a", "A",  "a",  "A", "a", "C", "c",
    "C", "c",          "C",  "c",  "C", "c",     "D",  "d",  "D",  "d", "E", "e", "E",  "e",  "E", "e", "E", "e",
    "E", "e",          "G",  "g",  "G", "g",     "G",  "g",  "G",  "g", "H", "h", "H",  "h",  "I", "i", "I", "i",
    "I", "i",          "I",  "i",  "I", "i",     "Ij", "ij", "J",  "j", "K", "k", "k",  "L",  "l", "L", "l", "L",
    "l", "L",          "l",  "L",  "l", "N",     "n",  "N",  "n",  "N", "n", "n", "Ng", "ng", "O", "o", "O", "o",
    "O", "o",          "Oe", "oe", "R", "r",     "R",  "r",  "R",  "r", "S", "s", "S",  "s",  "S", "s", "S", "s",
    "T", "t",          "T",  "t",  "T", "t",     "U",  "u",  "U",  "u", "U", "u", "U",  "u",  "U", "u", "U", "u",
    "W", "w",          "Y",  "y",  "Y", "Z",     "z",  "Z",  "z",  "Z", "z", "s"};

constexpr std::pair<char32_t, std::string_view> kSigns[] = {
    {0xa0, " "},
    {0xa3, "pounds"},
    {0xa5, "yen"},
    {0xa7, "section"},
    {0xa9, "copyright"},
    {0xb0, "degrees"},
    {0xb1, "plus or minus"},
    {0xb2, "squared"},
    {0xb3, "cubed"},
    {0xb5, "micro"},
    {0xb7, " "},
    {0xbc, "one quarter"},
    {0xbd, "one half"},
    {0xbe, "three quarters"},
    {0xd7, "times"},
    {0xf7, "divided by"},
    {0x2013, ","},
    {0x2014, ","},
    {0x2026, "."},
    {0x20ac, "euros"},
    {0x2190, "from"},
    {0x2192, "to"},
    {0x21d2, "to"},
    {0x2212, "minus"},
    {0x221a, "the square root of"},
    {0x221e, "infinity"},
    {0x2248, "about"},
    {0x2260, "is not"},
    {0x2264, "at most"},
    {0x2265, "at least"},
    {0x3c0, "pi"},
    {0xffe5, "yen"},
};

// Neither letters nor said: quotation marks, emoji, invisible marks.
bool is_silent(char32_t c) {
  return (c >= 0x80 && c <= 0xbf && c != 0xaa && c != 0xba) || (c >= 0x2000 && c <= 0x2bff) ||
         (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || c == 0xfffd || (c >= 0xe000 && c <= 0xf8ff) ||
         (c >= 0x1f000 && c <= 0x1faff) || c >= 0xe0000;
}

MaybeSaid say_foreign(const Place& place) {
  const std::string_view text = place.rest();
  const size_t length = static_cast<unsigned char>(text[0]) >= 0xf0   ? 4
                        : static_cast<unsigned char>(text[0]) >= 0xe0 ? 3
                                                                      : 2;
  if (text.size() < length || !utf8_valid(text.substr(0, length))) return Said{1, ""};
  size_t at = 0;
  const char32_t c = utf8_next(text, at);
  const bool inside = place.at > 0 && is_word(place(-1)) && is_word(place(static_cast<ptrdiff_t>(at)));
  if (c == 0x2018 || c == 0x2019) return Said{at, inside ? "'" : "", inside};
  const auto* sign = std::ranges::find(kSigns, c, &std::pair<char32_t, std::string_view>::first);
  if (sign != std::end(kSigns)) return sign->second == " " ? Said{at, ""} : Said{at, std::string(sign->second)};
  if (c >= 0xc0 && c < 0xc0 + std::size(kPlain)) return Said{at, std::string(kPlain[c - 0xc0]), true};
  const bool invisible =
      c == 0xad || (c >= 0x200b && c <= 0x200f) || c == 0x2060 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
  return is_silent(c) ? MaybeSaid(Said{at, "", invisible}) : std::nullopt;
}

// [text](address) and ![text](address) are the text; [12] and <b> are nothing.
MaybeSaid say_bracket(const Place& place) {
  const std::string_view text = place.rest().substr(0, kMostLinkBytes);
  if (text[0] == '!' || text[0] == '[') return Said{text.starts_with("![") ? size_t{2} : size_t{1}, ""};
  if (text[0] == '<') {
    const size_t end = line_at(text).find('>');
    const char next = place(1);
    if (end != std::string_view::npos && end < 80 && (is_letter(next) || next == '/' || next == '!'))
      return Said{end + 1, ""};
    return std::nullopt;
  }
  if (text.starts_with("](")) {
    const size_t end = line_at(text).find(')');
    if (end != std::string_view::npos) return Said{end + 1, ""};
  }
  return Said{1, ""};
}

bool between_numbers(const Place& place, size_t bytes) {
  ptrdiff_t left = -1, right = static_cast<ptrdiff_t>(bytes);
  while (place(left) == ' ' && left > -3) --left;
  while (place(right) == ' ' && right < static_cast<ptrdiff_t>(bytes) + 2) ++right;
  const auto is_term = [](char c) { return is_alnum(c) || c == ')' || c == '('; };
  return static_cast<ptrdiff_t>(place.at) + left >= 0 && is_term(place(left)) &&
         (is_term(place(right)) || place(right) == '.' || place(right) == '-') &&
         (is_digit(place(left)) || is_digit(place(right)) || left < -1);
}

// Whether the line that ends here is a heading, or the next one is blank or an item, a heading or a quote.
bool ends_block(const Place& place) {
  const size_t before = place.at == 0 ? std::string_view::npos : place.text.rfind('\n', place.at - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  std::string_view next = place.rest(1).substr(0, 16);
  while (next.starts_with(' ') || next.starts_with('\t') || next.starts_with('\r')) next.remove_prefix(1);
  const size_t digits = digits_at(next).size();
  const bool numbered = digits > 0 && digits < 3 && (next.substr(digits, 2) == ". " || next.substr(digits, 2) == ") ");
  const bool marked = next.starts_with("- ") || next.starts_with("* ") || next.starts_with("+ ") ||
                      next.starts_with("\u2022") || next.starts_with('#') || next.starts_with('>') ||
                      next.starts_with("---") || next.starts_with("***") || next.starts_with("```") ||
                      next.starts_with('|');
  return place.text.substr(begin).starts_with('#') || next.empty() || next[0] == '\n' || numbered || marked;
}

MaybeSaid silent(size_t bytes) { return Said{bytes, "", true}; }
MaybeSaid words(size_t bytes, std::string_view said) { return Said{bytes, std::string(said)}; }

}  // namespace

MaybeSaid say_line_start(const Place& place) {
  const std::string_view line = line_at(place.rest());
  size_t at = 0;
  while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
  const std::string_view rest = line.substr(at);
  const auto all_of = [&](std::string_view marks) {
    return rest.size() >= 3 &&
           std::ranges::all_of(rest, [&](char c) { return marks.find(c) != std::string_view::npos; });
  };
  // Rules, fences of code, the line below a table's head.
  if (all_of("-") || all_of("*") || all_of("_") || all_of("=") || all_of("-|: ") || rest.starts_with("```") ||
      rest.starts_with("~~~"))
    return Said{line.size(), "\n\n"};
  size_t mark = 0;
  if (rest.starts_with("- ") || rest.starts_with("* ") || rest.starts_with("+ ") || rest.starts_with("> ")) mark = 2;
  if (rest.starts_with("\u2022")) mark = 3;
  if (mark == 0) {
    const size_t hashes = std::min(rest.find_first_not_of('#'), rest.size());
    if (hashes > 0 && hashes <= 6 && rest.substr(hashes, 1) == " ") mark = hashes + 1;
  }
  if (mark == 0) {  // "1. ", of which the number is said
    const size_t digits = digits_at(rest).size();
    const bool item = digits > 0 && digits < 3 && (rest.substr(digits, 2) == ". " || rest.substr(digits, 2) == ") ");
    return item && at > 0 ? MaybeSaid(Said{at, ""}) : std::nullopt;
  }
  return Said{at + mark, ""};
}

MaybeSaid say_symbol(const Place& place) {
  const char c = place(), next = place(1), previous = place.at > 0 ? place(-1) : ' ';
  const bool loose = is_space(previous) && is_space(next);
  if (is_foreign(c)) return say_foreign(place);
  switch (c) {
    case '\n': return ends_block(place) ? words(1, "\n\n") : std::nullopt;
    case '\r': return words(1, "");
    case '\t': return words(1, "");
    case '+': return words(1, "plus");
    case '=':
      if (next == '>') return words(2, "to");
      if (next == '=') return words(2, "equals");
      return words(1, "equals");
    case '-':
      if (next == '>') return words(2, "to");
      if (next == '-') return words(place(2) == '-' ? 3 : 2, ",");
      if (loose)
        return between_numbers(place, 1) && (is_digit(place(-2)) || is_digit(place(2))) ? words(1, "minus")
                                                                                        : words(1, ",");
      if (is_alnum(previous) && is_digit(next)) return words(1, "");  // GPT-4
      return is_word(previous) && is_word(next) ? std::nullopt : words(1, "");
    case '*':
      if (next == '*') return is_digit(previous) && is_digit(place(2)) ? words(2, "to the power of") : silent(2);
      return between_numbers(place, 1) && (loose || (is_digit(previous) && is_digit(next))) ? words(1, "times")
                                                                                            : silent(1);
    case '/':
      if (loose && between_numbers(place, 1)) return words(1, "divided by");
      return is_word(previous) && is_word(next) ? words(1, "slash") : words(1, "");
    case '^':
      return next == '2' && !is_digit(place(2))   ? words(2, "squared")
             : next == '3' && !is_digit(place(2)) ? words(2, "cubed")
                                                  : words(1, "to the power of");
    case '<':
      if (auto said = say_bracket(place)) return said;
      return next == '=' ? words(2, "at most") : words(1, "less than");
    case '>': return next == '=' ? words(2, "at least") : words(1, "greater than");
    case '&': return words(1, "and");
    case '@': return words(1, "at");
    case '%': return words(1, "percent");
    case '#':
      return is_digit(next)                          ? words(1, "number")
             : is_letter(next) && is_space(previous) ? words(1, "hashtag")
                                                     : words(1, "");
    case '~': return is_digit(next) ? words(1, "about") : words(1, "");
    case '$': return words(1, "dollars");
    case '`': return silent(1);
    case '|': return place.at > 0 && previous != '\n' && next != '\n' && next != '\0' ? words(1, ",") : words(1, "");
    case '_':
    case '\\':
    case '{':
    case '}':
    case '"': return words(1, "");
    case '[':
    case ']': return say_bracket(place);
    case '!': return next == '[' ? say_bracket(place) : std::nullopt;
    case ';': return words(1, ",");
    case ':': return is_space(next) || next == '\0' ? words(1, ",") : words(1, "");
    case '(': return words(1, ",");
    case ')': return next == ' ' && is_word(place(2)) ? words(1, ",") : words(1, "");
    case '.': {
      size_t dots = 1;
      while (place(static_cast<ptrdiff_t>(dots)) == '.') ++dots;
      return dots > 1 ? words(dots, ".") : std::nullopt;
    }
    case '\'':
      return is_word(previous) && is_word(next)     ? std::nullopt
             : is_digit(next)                       ? words(1, "")
             : is_word(previous) && previous == 's' ? std::nullopt
                                                    : words(1, "");
    default: return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? words(1, "") : std::nullopt;
  }
}

}  // namespace calliope::reading
