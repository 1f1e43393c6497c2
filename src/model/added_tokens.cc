#include "model/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "model/tokenizer_unicode.h"

namespace calliope::model {
namespace {

// Where the character that ends at byte `end` begins.
size_t previous(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80);
  return end;
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t begin = previous(text, at);
  return is_word(utf8_next(text, begin));
}

bool word_after(std::string_view text, size_t at) { return at < text.size() && is_word(utf8_next(text, at)); }

size_t strip_left(std::string_view text, size_t begin, size_t lowest) {
  while (begin > lowest) {
    const size_t earlier = previous(text, begin);
    size_t at = earlier;
    if (!is_space(utf8_next(text, at))) break;
    begin = earlier;
  }
  return begin;
}

size_t strip_right(std::string_view text, size_t end) {
  while (end < text.size()) {
    size_t later = end;
    if (!is_space(utf8_next(text, later))) break;
    end = later;
  }
  return end;
}

}  // namespace

const int32_t* AddedTokens::Node::find(char byte) const {
  const auto place =
      std::lower_bound(next.begin(), next.end(), byte, [](const auto& edge, char b) { return edge.first < b; });
  return place != next.end() && place->first == byte ? &place->second : nullptr;
}

void AddedTokens::add(AddedToken token) {
  if (token.content.empty()) return;
  size_t node = 0;
  for (const char byte : token.content) {
    if (const int32_t* found = nodes_[node].find(byte)) {
      node = static_cast<size_t>(*found);
      continue;
    }
    auto& edges = nodes_[node].next;
    const auto place =
        std::lower_bound(edges.begin(), edges.end(), byte, [](const auto& edge, char b) { return edge.first < b; });
    edges.emplace(place, byte, static_cast<int32_t>(nodes_.size()));
    node = nodes_.size();
    nodes_.emplace_back();
  }
  if (nodes_[node].token >= 0) return;
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokens::longest(std::string_view text, size_t at) const {
  int32_t best = -1;
  for (size_t node = 0; at < text.size(); ++at) {
    const int32_t* found = nodes_[node].find(text[at]);
    if (!found) break;
    node = static_cast<size_t>(*found);
    if (nodes_[node].token >= 0) best = nodes_[node].token;
  }
  return best < 0 ? nullptr : &tokens_[static_cast<size_t>(best)];
}

bool AddedTokens::special_at(std::string_view text, size_t at) const {
  for (size_t node = 0; at < text.size(); ++at) {
    const int32_t* found = nodes_[node].find(text[at]);
    if (!found) return false;
    node = static_cast<size_t>(*found);
    if (nodes_[node].token >= 0 && tokens_[static_cast<size_t>(nodes_[node].token)].special) return true;
  }
  return false;
}

bool AddedTokens::any_special() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const AddedToken& token) { return token.special; });
}

std::vector<Piece> AddedTokens::split(std::string_view text, Specials specials) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    const AddedToken* token = longest(text, at);
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    const bool shielded = specials == Specials::unshielded && text.substr(0, begin).ends_with(kShield);
    if (token->special && (specials == Specials::none || shielded)) continue;
    if (token->single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token->lstrip) begin = strip_left(text, begin, done);
    if (token->rstrip) end = strip_right(text, end);
    // Blanks that the token before took may have held this one.
    begin = std::max(begin, done);
    if (end <= begin) continue;
    if (begin > done) pieces.push_back({text.substr(done, begin - done)});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done)});
  return pieces;
}

}  // namespace calliope::model
