#include "model/template_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/utf8.h"

namespace calliope::model::jinja {
namespace {

void append_hex(std::string& out, char32_t c, int digits) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "%0*x", digits, static_cast<unsigned>(c));
  out += buffer;
}

void append_upper(std::string& out, char32_t c) {
  if (c == 0xDF)
    out += "SS";
  else
    utf8_append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

bool printable(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return c == ' ' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_SO);
}

// Where the character that ends at byte `end` begins.
size_t previous(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80);
  return end;
}

std::vector<std::string> split_blanks(std::string_view text, int64_t most, bool right) {
  std::vector<std::string> out;
  while (!(text = stripped(text, {}, !right, right)).empty()) {
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
      out.emplace_back(text);
      break;
    }
    if (right) {
      size_t begin = text.size();
      while (begin > 0) {
        size_t at = previous(text, begin);
        const size_t earlier = at;
        if (python_space(utf8_next(text, at))) break;
        begin = earlier;
      }
      out.emplace_back(text.substr(begin));
      text = text.substr(0, begin);
    } else {
      size_t end = 0;
      for (size_t at = 0; at < text.size(); end = at) {
        if (python_space(utf8_next(text, at))) break;
      }
      out.emplace_back(text.substr(0, end));
      text.remove_prefix(end);
    }
  }
  if (right) std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

bool python_space(char32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view stripped(std::string_view text, const std::optional<std::string_view>& set, bool left, bool right) {
  const auto drop = [&](size_t begin, size_t end) {
    size_t at = begin;
    return set ? set->find(text.substr(begin, end - begin)) != std::string_view::npos
               : python_space(utf8_next(text, at));
  };
  size_t first = 0, last = text.size();
  while (left && first < last) {
    size_t next = first;
    utf8_next(text, next);
    if (!drop(first, next)) break;
    first = next;
  }
  while (right && last > first) {
    const size_t before = previous(text, last);
    if (!drop(before, last)) break;
    last = before;
  }
  return text.substr(first, last - first);
}

std::string upper(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) append_upper(out, utf8_next(text, at));
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();)
    utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(utf8_next(text, at)))));
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out;
  size_t at = 0;
  if (!text.empty()) append_upper(out, utf8_next(text, at));
  return out + lower(text.substr(at));
}

std::string titled(std::string_view text) {
  std::string out;
  bool start = true;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    if (start)
      append_upper(out, c);
    else
      utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    start =
        python_space(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) != std::string_view::npos);
  }
  return out;
}

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    utf8_next(text, at);
    out.emplace_back(text.substr(begin, at - begin));
  }
  return out;
}

int64_t length(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string_view>& separator, int64_t most,
                               bool right) {
  if (!separator) return split_blanks(text, most, right);
  std::vector<std::string> out;
  for (; most != 0; --most) {
    const size_t found = right ? text.rfind(*separator) : text.find(*separator);
    if (found == std::string_view::npos) break;
    out.emplace_back(right ? text.substr(found + separator->size()) : text.substr(0, found));
    text = right ? text.substr(0, found) : text.substr(found + separator->size());
  }
  out.emplace_back(text);
  if (right) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t c = utf8_next(text, at);
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    out.emplace_back(text.substr(begin, end - begin));
    begin = at;
  }
  if (begin < text.size()) out.emplace_back(text.substr(begin));
  return out;
}

std::optional<std::string> replaced(std::string_view text, std::string_view from, std::string_view to, int64_t most,
                                    size_t limit) {
  std::string out;
  size_t at = 0;
  for (; most != 0 && out.size() <= limit; --most) {
    if (from.empty()) {
      // Before every character and at the end.
      out += to;
      if (at == text.size()) return out;
      const size_t begin = at;
      utf8_next(text, at);
      out += text.substr(begin, at - begin);
      continue;
    }
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  out += text.substr(at);
  if (out.size() > limit) return std::nullopt;
  return out;
}

bool all_are(std::string_view text, std::string_view method) {
  bool cased = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO,
               digit = category == UTF8PROC_CATEGORY_ND;
    const bool up = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT,
               low = category == UTF8PROC_CATEGORY_LL;
    if (method == "isspace" && !python_space(c)) return false;
    if (method == "isdigit" && !digit) return false;
    if (method == "isalpha" && !letter) return false;
    if (method == "isalnum" && !letter && !digit) return false;
    if ((method == "isupper" && low) || (method == "islower" && up)) return false;
    cased = cased || up || low;
  }
  return method == "isupper" || method == "islower" ? cased : !text.empty();
}

std::string quoted(std::string_view text) {
  const bool twice = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = twice ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\\' || c == static_cast<char32_t>(quote))
      (out += '\\') += static_cast<char>(c);
    else if (printable(c))
      utf8_append(out, c);
    else if (c < 0x100)
      append_hex(out += "\\x", c, 2);
    else if (c < 0x10000)
      append_hex(out += "\\u", c, 4);
    else
      append_hex(out += "\\U", c, 8);
  }
  return out + quote;
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t sign = text[e + 1] == '+' ? 1 : 0;
  std::from_chars(text.data() + e + 1 + sign, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string out(buffer, static_cast<size_t>(fixed - buffer));
  return out.find('.') == std::string::npos ? out + ".0" : out;
}

std::string json_quoted(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    switch (c) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case '\b': out += "\\b"; continue;
      case '\f': out += "\\f"; continue;
      default: break;
    }
    if (c >= 0x20 && (c < 0x7F || !ensure_ascii)) {
      utf8_append(out, c);
    } else if (c < 0x10000) {
      append_hex(out += "\\u", c, 4);
    } else {
      append_hex(out += "\\u", 0xD7C0 + (c >> 10), 4);
      append_hex(out += "\\u", 0xDC00 + (c & 0x3FF), 4);
    }
  }
  return out + '"';
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '\'')
      out += "&#39;";
    else if (c == '"')
      out += "&#34;";
    else
      out += c;
  }
  return out;
}

}  // namespace calliope::model::jinja
