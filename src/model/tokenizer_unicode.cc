#include "model/tokenizer_unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/utf8.h"

namespace calliope::model {
namespace {

struct Range {
  char32_t first, last;
};

bool holds(std::span<const Range> ranges, char32_t c) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t x, const Range& range) { return x < range.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

// What has a canonical class or a composition in utf8proc's tables but none in Unicode 9.
constexpr std::array kNewerMarks = std::to_array<Range>(
    {{0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
     {0xA82C, 0xA82C},   {0x105C9, 0x105C9}, {0x105D2, 0x105D2}, {0x105DA, 0x105DA}, {0x105E4, 0x105E4},
     {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFA, 0x10EFF}, {0x10F46, 0x10F50},
     {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x11382, 0x11391}, {0x113B8, 0x113C9},
     {0x113CE, 0x113D0}, {0x113E1, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930},
     {0x11935, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
     {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
     {0x1611E, 0x1612F}, {0x16D63, 0x16D6A}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
     {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}});

// Word characters that utf8proc's categories lack: circled and squared letters, joiners, Unicode 15.1 and 16.
constexpr std::array kMoreWord = std::to_array<Range>(
    {{0x897, 0x897},     {0x1C89, 0x1C8A},   {0x200C, 0x200D},   {0x24B6, 0x24E9},   {0xA7CB, 0xA7CD},
     {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3}, {0x10D40, 0x10D65}, {0x10D69, 0x10D6D}, {0x10D6F, 0x10D85},
     {0x10EC2, 0x10EC4}, {0x10EFC, 0x10EFC}, {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E},
     {0x11390, 0x113B5}, {0x113B7, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA},
     {0x113CC, 0x113D3}, {0x113E1, 0x113E2}, {0x116D0, 0x116E3}, {0x11BC0, 0x11BE0}, {0x11BF0, 0x11BF9},
     {0x11F5A, 0x11F5A}, {0x13460, 0x143FA}, {0x16100, 0x16139}, {0x16D40, 0x16D6C}, {0x16D70, 0x16D79},
     {0x18CFF, 0x18CFF}, {0x1CCF0, 0x1CCF9}, {0x1E5D0, 0x1E5FA}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169},
     {0x1F170, 0x1F189}, {0x2EBF0, 0x2EE5D}});

// Unicode 15 and 16 over 14, which PCRE2 10.42 knows. As members of a character class.
constexpr std::string_view kNewLetters =
    R"(\x{1C89}\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85})"
    R"(\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1})"
    R"(\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446})"
    R"(\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A})"
    R"(\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
constexpr std::string_view kNewNumbers =
    R"(\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139}\x{16D70}-\x{16D79})"
    R"(\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";
constexpr std::string_view kNewMarks =
    R"(\x{897}\x{CF3}\x{ECE}\x{10D69}-\x{10D6D}\x{10EFC}-\x{10EFF}\x{11241}\x{113B8}-\x{113C0}\x{113C2}\x{113C5}\x{113C7}-\x{113CA})"
    R"(\x{113CC}-\x{113D0}\x{113D2}\x{113E1}\x{113E2}\x{11F00}\x{11F01}\x{11F03}\x{11F34}-\x{11F3A}\x{11F3E}-\x{11F42}\x{11F5A})"
    R"(\x{13440}\x{13447}-\x{13455}\x{1611E}-\x{1612F}\x{1E08F}\x{1E4EC}-\x{1E4EF}\x{1E5EE}\x{1E5EF})";
constexpr std::string_view kSpaces =
    R"(\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

std::string_view newer(char category) {
  return category == 'L' ? kNewLetters : category == 'N' ? kNewNumbers : kNewMarks;
}

// Decomposed, every run of marks in canonical order, composed again; none of it is a newer mark.
void append_nfc(std::vector<utf8proc_int32_t>& points, std::string& out) {
  const auto combining = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto at = points.begin(); at != points.end();) {
    if (combining(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, points.end(), [&](utf8proc_int32_t c) { return combining(c) == 0; });
    std::stable_sort(at, end, [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining(a) < combining(b); });
    at = end;
  }
  const auto length = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < length; ++i) utf8_append(out, static_cast<char32_t>(points[static_cast<size_t>(i)]));
  points.clear();
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
  // Below U+0300 (bytes below 0xCC) every character is its own composition.
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0xCC; }))
    return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> points;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    if (holds(kNewerMarks, c)) {
      append_nfc(points, out);
      utf8_append(out, c);
      continue;
    }
    utf8proc_int32_t parts[8];
    int boundary = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 8,
                                static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &boundary);
    if (count < 1 || count > 8)
      points.push_back(static_cast<utf8proc_int32_t>(c));
    else
      points.insert(points.end(), parts, parts + count);
  }
  append_nfc(points, out);
  return out;
}

std::string pattern_for_pcre2(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const std::string_view rest = pattern.substr(at);
    if (rest[0] == '[' && !in_class) {
      in_class = true;
      out += '[';
      // A bracket that comes first is a member.
      for (const char first : {'^', ']'}) {
        if (pattern.substr(at + 1).starts_with(first)) out += pattern[++at];
      }
    } else if (rest[0] == ']' && in_class) {
      in_class = false;
      out += ']';
    } else if (rest[0] != '\\' || rest.size() < 2) {
      out += rest[0];
    } else if (rest[1] == 's' || rest[1] == 'S') {
      if (in_class)
        out += rest[1] == 's' ? std::string(kSpaces) : "\\S\\x{180E}";
      else
        out += (rest[1] == 's' ? "[" : "[^") + std::string(kSpaces) + "]";
      ++at;
    } else if ((rest[1] == 'p' || (rest[1] == 'P' && !in_class)) && rest.size() >= 5 && rest[2] == '{' &&
               rest[4] == '}' && std::string_view("LNM").find(rest[3]) != std::string_view::npos) {
      const std::string members = "\\p{" + std::string(1, rest[3]) + "}" + std::string(newer(rest[3]));
      if (in_class)
        out += members;
      else
        out += (rest[1] == 'p' ? "[" : "[^") + members + "]";
      at += 4;
    } else {
      out += rest.substr(0, 2);
      ++at;
    }
  }
  return out;
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) || category == UTF8PROC_CATEGORY_PC ||
         holds(kMoreWord, c);
}

}  // namespace calliope::model
