#include "model/added_tokens.h"

#include <algorithm>

namespace calliope::model {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<uint8_t>(c) & 0x80);
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  if (token.content.empty()) return;
  auto& list = by_first_byte_[static_cast<uint8_t>(token.content[0])];
  const auto place = std::find_if(list.begin(), list.end(),
                                  [&](const AddedToken& other) { return other.content.size() < token.content.size(); });
  list.insert(place, std::move(token));
}

const AddedToken* AddedTokens::match(std::string_view text, size_t at, bool with_special) const {
  for (const AddedToken& token : by_first_byte_[static_cast<uint8_t>(text[at])]) {
    if (token.special && !with_special) continue;
    if (text.substr(at).starts_with(token.content)) return &token;
  }
  return nullptr;
}

bool AddedTokens::special_at(std::string_view text, size_t at) const {
  for (const AddedToken& token : by_first_byte_[static_cast<uint8_t>(text[at])]) {
    if (token.special && text.substr(at).starts_with(token.content)) return true;
  }
  return false;
}

std::vector<Piece> AddedTokens::split(std::string_view text, bool with_special) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = match(text, at, with_special);
    size_t begin = at, end = at + (token ? token->content.size() : 1);
    if (token && token->single_word && ((begin > 0 && is_word(text[begin - 1])) || (end < text.size() && is_word(text[end])))) {
      at = end;
      continue;
    }
    if (!token) {
      at = end;
      continue;
    }
    while (token->lstrip && begin > done && is_space(text[begin - 1])) --begin;
    while (token->rstrip && end < text.size() && is_space(text[end])) ++end;
    if (begin > done) pieces.push_back({text.substr(done, begin - done)});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    done = at = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done)});
  return pieces;
}

}  // namespace calliope::model
