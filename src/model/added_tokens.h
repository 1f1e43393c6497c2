#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calliope::model {

/// A token that is matched in the text itself, before any splitting into words.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;
  bool lstrip = false;
  bool rstrip = false;
  bool single_word = false;
};

/// A stretch of text, or an added token when id >= 0.
struct Piece {
  std::string_view text;
  int32_t id = -1;
};

/// U+FDD0, a noncharacter that means nothing in text: Specials::unshielded are those not right after it.
constexpr std::string_view kShield = "\xEF\xB7\x90";

/// Which special tokens are matched.
enum class Specials { all, none, unshielded };

/// Finds added tokens, leftmost and then longest, as tokenizers' AddedVocabulary does.
class AddedTokens {
 public:
  /// Of two tokens with the same content the first counts.
  void add(AddedToken token);
  /// Cuts `text` at the tokens. A special one that is not wanted is text as a whole.
  std::vector<Piece> split(std::string_view text, Specials specials) const;

  /// Whether a special token begins at byte `at`, be it inside a longer token.
  bool special_at(std::string_view text, size_t at) const;
  bool any_special() const;

 private:
  // A trie over bytes; node 0 is the root.
  struct Node {
    std::vector<std::pair<char, int32_t>> next;  // sorted by byte
    int32_t token = -1;
    const int32_t* find(char byte) const;
  };
  const AddedToken* longest(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
};

}  // namespace calliope::model
