#include "reading/passages.h"

#include <algorithm>

#include "reading/rules.h"

namespace calliope::reading {
namespace {

constexpr double kParagraphPauseS = 0.7, kSentencePauseS = 0.35, kClausePauseS = 0.15;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

// The ideographic full stop, exclamation and question mark; their bytes, 0: none.
size_t wide_stop_at(std::string_view text) {
  return text.starts_with("\u3002") || text.starts_with("\uff01") || text.starts_with("\uff1f") ? 3 : 0;
}

// A full stop at `at` that belongs to a word: Mr., J., No. 5.
bool belongs_to_word(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && at - begin < 12 && is_letter(text[begin - 1])) --begin;
  const std::string_view word = text.substr(begin, at - begin);
  if (word.size() == 1 && is_upper(word[0]) && word[0] != 'I') return begin == 0 || !is_word(text[begin - 1]);
  return is_abbreviation(word);
}

// Where the sentence that begins at `at` ends, with its marks.
struct End {
  size_t at = 0;
  bool paragraph = false;
};
End sentence_end(std::string_view text, size_t at) {
  for (; at < text.size(); ++at) {
    if (text[at] == '\n') {
      size_t next = at + 1;
      while (next < text.size() && (text[next] == ' ' || text[next] == '\t' || text[next] == '\r')) ++next;
      if (next >= text.size() || text[next] == '\n') return {at, true};
      continue;
    }
    if (const size_t wide = wide_stop_at(text.substr(at)); wide > 0) return {at + wide};
    if (text[at] != '.' && text[at] != '!' && text[at] != '?') continue;
    size_t end = at + 1;
    while (end < text.size() && std::string_view(".!?\"')]*_").find(text[end]) != std::string_view::npos) ++end;
    if (end < text.size() && text.substr(end).starts_with("\u201d")) end += 3;
    if (end < text.size() && !is_space(text[end])) {
      at = end - 1;
      continue;
    }
    if (text[at] == '.' && end == at + 1 && belongs_to_word(text, at)) continue;
    // "etc. and so on": what goes on in small letters is the same sentence.
    size_t next = end;
    while (next < text.size() && text[next] == ' ') ++next;
    if (text[at] == '.' && next < text.size() && is_lower(text[next])) continue;
    return {end};
  }
  return {text.size()};
}

// Where to cut a sentence that is too long: after the last comma that leaves it short enough, else between words.
struct Cut {
  size_t at = 0;
  double pause_s = 0;
};
Cut cut_of(std::string_view text, size_t most) {
  size_t end = 0;
  for (size_t count = 0; end < text.size(); ++end) {
    if (!is_continuation(text[end]) && ++count > most) break;
  }
  for (const bool clause : {true, false}) {
    for (size_t at = end; at > end / 3; --at) {
      if (at >= text.size() || !is_space(text[at])) continue;
      if (!clause) return {at};
      if (std::string_view(",;:").find(text[at - 1]) != std::string_view::npos) return {at, kClausePauseS};
    }
  }
  while (end > 0 && end < text.size() && is_continuation(text[end])) --end;
  return {std::max<size_t>(end, 1)};
}

}  // namespace

bool can_be_said(std::string_view text) { return std::ranges::any_of(text, is_word); }

std::vector<Passage> passages(std::string_view text, size_t most, size_t most_sentences) {
  most = std::max<size_t>(most, 1);
  std::vector<Passage> found;
  size_t taken = 0, joined = 0;  // characters and pieces of the last one
  const auto gap = [&](size_t begin) { return characters(text.substr(found.back().end, begin - found.back().end)); };
  const auto add = [&](size_t begin, size_t end, double pause_s) {
    while (begin < end && is_space(text[begin])) ++begin;
    while (end > begin && is_space(text[end - 1])) --end;
    const std::string_view piece = text.substr(begin, end - begin);
    if (!can_be_said(piece)) {
      if (!found.empty()) found.back().pause_s = std::max(found.back().pause_s, pause_s);
      return;
    }
    const size_t count = characters(piece);
    if (!found.empty() && found.back().pause_s <= kSentencePauseS && taken + gap(begin) + count <= most &&
        (most_sentences == 0 || joined < most_sentences)) {
      ++joined;
      taken += gap(begin) + count;
      found.back().end = end;
      found.back().pause_s = pause_s;
      return;
    }
    found.push_back({begin, end, pause_s});
    taken = count;
    joined = 1;
  };
  for (size_t at = 0; at < text.size();) {
    const End end = sentence_end(text, at);
    while (at < end.at) {
      const std::string_view rest = text.substr(at, end.at - at);
      if (characters(rest.substr(0, std::min(rest.size(), 4 * most + 4))) <= most) break;
      const Cut cut = cut_of(rest, most);
      add(at, at + cut.at, cut.pause_s);
      at += cut.at;
    }
    size_t next = end.at, lines = 0;
    for (; next < text.size() && is_space(text[next]); ++next) lines += text[next] == '\n' ? 1 : 0;
    add(at, end.at, end.paragraph || lines > 1 ? kParagraphPauseS : kSentencePauseS);
    at = next;
  }
  if (!found.empty()) found.back().pause_s = 0;
  return found;
}

}  // namespace calliope::reading
