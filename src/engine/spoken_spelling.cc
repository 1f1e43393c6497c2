#include "engine/spoken_spelling.h"

#include <algorithm>

#include "reading/pronunciations.h"
#include "reading/rules.h"
#include "reading/spoken_text.h"

namespace calliope::engine {
namespace {

constexpr size_t kMostWaiting = 60, kLongestWord = 240;  // bytes
constexpr std::string_view kSpaces = " \t\r\n", kClauseEnds = ".,;:!?";

using reading::is_letter, reading::is_space, reading::is_upper;

// Characters whose reading depends on what follows: figures, signs of money, symbols.
bool depends(char c) {
  return !is_letter(c) && !is_space(c) && std::string_view(".,;:!?'\"()-").find(c) == std::string_view::npos;
}

}  // namespace

// Bytes of what waits that are whole words, whatever follows.
size_t SpokenSpelling::over() const {
  size_t end = 0;
  bool waits = false;
  for (size_t at = 1; at < waiting_.size(); ++at) {
    waits = waits || depends(waiting_[at - 1]);
    if (!is_space(waiting_[at]) || is_space(waiting_[at - 1])) continue;
    const bool clause = kClauseEnds.find(waiting_[at - 1]) != std::string_view::npos;
    if (waits && !clause && waiting_.size() < kMostWaiting) return end;
    end = at;
    waits = false;
  }
  if (end == 0 && waiting_.size() > kLongestWord) {
    end = waiting_.size();
    const auto byte = [&] { return static_cast<unsigned char>(waiting_[end - 1]); };
    while (end > 1 && (byte() & 0xc0) == 0x80) --end;
    if (end > 1 && byte() >= 0xc0) --end;  // no character is cut
  }
  return end;
}

std::vector<SpokenSpelling::Piece> SpokenSpelling::push(std::string_view text) {
  waiting_ += text;
  const size_t end = over();
  std::vector<Piece> said = say(std::string_view(waiting_).substr(0, end));
  waiting_.erase(0, end);
  return said;
}

std::vector<SpokenSpelling::Piece> SpokenSpelling::finish() {
  std::vector<Piece> said = say(waiting_);
  waiting_.clear();
  return said;
}

// Words that say a piece of the text together go together: "633" counts as said when "six hundred thirty-three" was.
std::vector<SpokenSpelling::Piece> SpokenSpelling::say(std::string_view text) {
  std::vector<Piece> said;
  if (text.empty()) return said;
  reading::SpokenText spoken = model_.generation.talker_reads_words ? reading::spoken_text(text) : reading::verbatim_text(text);
  if (begun_ && !spoken.text.empty() && std::ranges::none_of(text, is_upper)) {
    spoken.text.replace(0, 1, reading::lower(spoken.text.substr(0, 1)));  // it takes every text for the beginning of a sentence
  }
  const std::string_view words = spoken.text;
  size_t told = 0;
  for (size_t at = 0; at < words.size();) {
    const size_t blank = std::min(text.find_first_not_of(kSpaces, told), text.size());
    size_t end = at, source = told;
    while (end < words.size() && source <= blank) {
      end = std::min(words.find_first_not_of(kSpaces, end), words.size());
      end = std::min(words.find_first_of(kSpaces, end), words.size());
      source = end == words.size() ? text.size() : spoken.source_bytes(end);
    }
    said.push_back({tokens_of(words.substr(at, end - at)), std::string(text.substr(told, source - told))});
    at = end;
    told = source;
  }
  if (told < text.size()) said.push_back({{}, std::string(text.substr(told))});
  return said;
}

std::vector<int32_t> SpokenSpelling::tokens_of(std::string_view words) {
  const size_t begin = words.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  auto tokens = model_.tokenizer.encode((begun_ ? " " : "") + reading::spelled_as_said(words.substr(begin)).text, false);
  if (!tokens) return {};  // nothing that could be said
  begun_ = true;
  return *std::move(tokens);
}

}  // namespace calliope::engine
