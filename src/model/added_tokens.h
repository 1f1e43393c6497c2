#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
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

/// Finds added tokens, leftmost and then longest, as tokenizers' AddedVocabulary does.
class AddedTokens {
 public:
  void add(AddedToken token);
  /// Cuts `text` at the tokens; special ones only when `with_special`.
  std::vector<Piece> split(std::string_view text, bool with_special) const;

  /// Whether a special token begins at byte `at`.
  bool special_at(std::string_view text, size_t at) const;

 private:
  const AddedToken* match(std::string_view text, size_t at, bool with_special) const;
  std::array<std::vector<AddedToken>, 256> by_first_byte_;  // longest first
};

}  // namespace calliope::model
