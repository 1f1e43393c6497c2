#include "reading/pronunciations.h"

#include <algorithm>
#include <initializer_list>
#include <string>

namespace calliope::reading {
namespace {

constexpr size_t kLongestWord = 32;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Bytes of the word that begins at `at`: letters, and an apostrophe between them. 0 when there is none.
size_t word_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_letter(text[end])) ++end;
  if (end > at && end + 1 < text.size() && text[end] == '\'' && is_letter(text[end + 1])) {
    ++end;
    while (end < text.size() && is_letter(text[end])) ++end;
  }
  return end - at;
}

std::string_view sounds_of(const std::string& word) {
  const std::string wanted = word + ' ';
  std::string_view lines = pronunciation_lines();
  while (!lines.empty()) {  // halves, by whole lines
    const size_t before = lines.rfind('\n', lines.size() / 2);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string_view line = lines.substr(begin, end - begin);
    if (line.starts_with(wanted)) return line.substr(wanted.size());
    lines = wanted < line ? lines.substr(0, begin) : lines.substr(std::min(end + 1, lines.size()));
  }
  return {};
}

/// What a possessive adds after these sounds.
std::string_view possessive(std::string_view sounds) {
  const auto ends = [&](std::initializer_list<std::string_view> with) {
    return std::ranges::any_of(with, [&](std::string_view end) { return sounds.ends_with(end); });
  };
  return ends({"s", "z", "sh", "zh", "ch", "j"}) ? "uz" : ends({"p", "t", "k", "f", "th"}) ? "s" : "z";
}

}  // namespace

std::string pronunciation(std::string_view word) {
  if (word.empty() || word.size() > kLongestWord) return {};
  std::string lower(word);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string sounds(sounds_of(lower));
  if (!sounds.empty() || !lower.ends_with("'s")) return sounds;
  sounds = sounds_of(lower.substr(0, lower.size() - 2));
  return sounds.empty() ? sounds : sounds.append(possessive(sounds));
}

SpokenText spelled_as_said(std::string_view text) {
  SpokenText said;
  size_t copied = 0;
  const auto copy_to = [&](size_t end) {
    if (end == copied) return;
    said.text += text.substr(copied, end - copied);
    said.spans.push_back({said.text.size(), end, true});
    copied = end;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = word_at(text, at);
    if (const std::string sounds = pronunciation(text.substr(at, bytes)); !sounds.empty()) {
      copy_to(at);
      said.text += sounds;
      copied = at + bytes;
      said.spans.push_back({said.text.size(), copied, false});
    }
    at += std::max<size_t>(bytes, 1);
  }
  copy_to(text.size());
  return said;
}

}  // namespace calliope::reading
