#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/added_tokens.h"
#include "model/bpe.h"
#include "model/pre_tokenizer.h"
#include "model/tokenizer.h"

namespace calliope::model {

struct Tokenizer::Parts {
  Bpe bpe;
  PreTokenizer pre_tokenizer;
  AddedTokens raw, normalized;  // matched before and after normalisation
  bool nfc = false;
  std::vector<std::string> bytes;  // what each id stands for
  std::vector<std::string> names;  // how tokenizer.json writes it
  std::vector<bool> special;
  std::unordered_map<std::string, int32_t> ids;

  /// Sets what id, which is not negative, stands for.
  void set(int32_t id, std::string_view name, bool is_special);
  /// Looks up the ids of the 256 bytes, once the vocabulary is complete.
  void find_bytes();
  /// Adds a merge; false when one of the three tokens is not in the vocabulary.
  bool merge(std::string_view left, std::string_view right, uint64_t rank);
  /// The bytes a token's byte-level characters stand for; none when a character is not byte-level.
  static std::optional<std::string> bytes_of(std::string_view token);

  Result<std::vector<int32_t>> encode(std::string_view text, Specials specials) const;
};

}  // namespace calliope::model
