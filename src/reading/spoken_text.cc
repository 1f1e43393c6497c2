#include "reading/spoken_text.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "reading/rules.h"

namespace calliope::reading {
namespace {

using Rule = MaybeSaid (*)(const Place&);
// In the order they are tried.
constexpr Rule kAtDigits[] = {say_phone, say_date, say_time, say_number};
constexpr Rule kAtLetters[] = {say_address, say_month, say_abbreviation, say_roman, say_initialism};
constexpr Rule kAtSigns[] = {say_money, say_phone, say_number, say_symbol};

/// Puts the text together. Blanks are never doubled, and words never run into one another.
class Writer {
 public:
  SpokenText take() { return std::move(spoken_); }
  std::string_view last_word() const {
    const std::string& text = spoken_.text;
    size_t end = text.size();
    while (end > 0 && text[end - 1] == ' ') --end;
    size_t begin = end;
    while (begin > 0 && end - begin < 20 && is_word(text[begin - 1])) --begin;
    return std::string_view(text).substr(begin, end - begin);
  }

  void copy(std::string_view bytes) {
    part_from(bytes);
    if (is_space(bytes[0]) && (spoken_.text.empty() || is_space(spoken_.text.back()))) return skip(bytes.size());
    spoken_.text += bytes;
    source_ += bytes.size();
    SpokenText::Span* last = spoken_.spans.empty() ? nullptr : &spoken_.spans.back();
    if (last && last->verbatim && spoken_.text.size() - last->text_end == bytes.size()) {
      *last = {spoken_.text.size(), source_, true};
      return;
    }
    if (last) last->text_end = spoken_.text.size() - bytes.size();  // a blank that was put in before
    spoken_.spans.push_back({spoken_.text.size(), source_, true});
  }

  void say(const Said& said) {
    const std::string_view words = said.words;
    std::string& text = spoken_.text;
    if (said.joined && !words.empty()) {
      part_from(words);
      text += words;
      return skip(said.bytes);
    }
    if (words.empty()) {
      parted_ = parted_ || !said.joined;
      return skip(said.bytes);
    }
    const bool mark = std::string_view(",.!?\n").find(words[0]) != std::string_view::npos;
    if (mark) {
      while (text.ends_with(' ')) text.pop_back();
      fit();
      // A second mark in a row is none, nor is one before the first word.
      if (text.empty() || text.ends_with('\n') ||
          (words[0] != '\n' && std::string_view(",.!?").find(text.back()) != std::string_view::npos)) {
        parted_ = true;
        return skip(said.bytes);
      }
    } else if (!text.empty() && !is_space(text.back()) && text.back() != '-') {
      text += ' ';
    }
    const bool sentence = sentence_begins();
    text += words;
    if (sentence && is_lower(words[0])) text[text.size() - words.size()] += 'A' - 'a';
    source_ += said.bytes;
    spoken_.spans.push_back({text.size(), source_, false});
    parted_ = true;
  }

 private:
  // A blank before what comes next, if it is another word.
  void part_from(std::string_view next) {
    std::string& text = spoken_.text;
    if (std::exchange(parted_, false) && is_word(next[0]) && !text.empty() && !is_space(text.back()) &&
        text.back() != '-')
      text += ' ';
  }
  void skip(size_t bytes) {
    source_ += bytes;
    spoken_.spans.push_back({spoken_.text.size(), source_, false});
  }
  // After the end was taken away.
  void fit() {
    for (auto span = spoken_.spans.rbegin(); span != spoken_.spans.rend() && span->text_end > spoken_.text.size();
         ++span) {
      span->text_end = spoken_.text.size();
    }
  }
  bool sentence_begins() const {
    const std::string& text = spoken_.text;
    size_t end = text.size();
    while (end > 0 && is_space(text[end - 1])) --end;
    return end == 0 || std::string_view(".!?").find(text[end - 1]) != std::string_view::npos;
  }

  SpokenText spoken_;
  size_t source_ = 0;
  bool parted_ = false;  // the next word is another one
};

template <size_t N>
MaybeSaid first_of(const Rule (&rules)[N], const Place& place) {
  for (const Rule rule : rules) {
    if (auto said = rule(place)) return said;
  }
  return std::nullopt;
}

// `parted`: something else was said just before, so that a word may begin here.
MaybeSaid say_here(const Place& place, bool parted) {
  const char c = place(), previous = place.at > 0 ? place(-1) : ' ';
  if (place.at == 0 || previous == '\n') {
    if (auto said = say_line_start(place)) return said;
  }
  const bool word_begins = parted || !is_word(previous);
  if (is_digit(c)) return word_begins ? first_of(kAtDigits, place) : std::nullopt;
  if (is_letter(c)) return word_begins ? first_of(kAtLetters, place) : std::nullopt;
  return first_of(kAtSigns, place);
}

}  // namespace

SpokenText spoken_text(std::string_view text) {
  Writer writer;
  bool parted = true;
  for (size_t at = 0; at < text.size();) {
    const Place place{text, at, writer.last_word()};
    if (const auto said = say_here(place, parted)) {
      parted = !said->joined;
      writer.say(*said);
      at += said->bytes;
      continue;
    }
    parted = false;
    size_t end = at + 1;
    while (end < text.size() && is_foreign(text[at]) && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    writer.copy(text.substr(at, end - at));
    at = end;
  }
  return writer.take();
}

SpokenText verbatim_text(std::string_view text) {
  SpokenText spoken{.text = std::string(text), .spans = {}};
  if (!text.empty()) spoken.spans.push_back({text.size(), text.size(), true});
  return spoken;
}

size_t SpokenText::source_bytes(size_t text_bytes) const {
  const auto span = std::ranges::lower_bound(spans, text_bytes, {}, &Span::text_end);
  if (span == spans.end()) return spans.empty() ? 0 : spans.back().source_end;
  const size_t text_begin = span == spans.begin() ? 0 : std::prev(span)->text_end;
  const size_t source_begin = span == spans.begin() ? 0 : std::prev(span)->source_end;
  if (text_bytes == span->text_end) return span->source_end;
  return span->verbatim ? std::min(source_begin + (text_bytes - text_begin), span->source_end) : source_begin;
}

}  // namespace calliope::reading
