#pragma once

#include <string>
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

  Result<std::vector<int32_t>> encode(std::string_view text, Specials specials) const;
};

}  // namespace calliope::model
