#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer.h"

namespace calliope::model {

/// A byte-level BPE vocabulary as GGUF files hold it.
struct TokenizerLists {
  std::vector<std::string_view> tokens;  ///< by id, as tokenizer.json writes them
  std::vector<int64_t> kinds;            ///< of each token: 1 normal, 3 control, 4 user-defined, 5 unused
  std::vector<std::string_view> merges;  ///< "left right", by falling rank
};

/// Qwen2's tokenizer, which Qwen3 shares, with this vocabulary: NFC, its split, byte-level merges. Control tokens are
/// special, user-defined ones are matched in text too. invalid_argument for lists that contradict each other.
Result<Tokenizer> tokenizer_from_lists(const TokenizerLists& lists);

}  // namespace calliope::model
