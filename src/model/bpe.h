#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace calliope::model {

/// Byte-pair merges over byte-level symbols.
class Bpe {
 public:
  /// Ids of the 256 single-byte tokens, -1 where there is none.
  std::vector<int32_t> byte_ids = std::vector<int32_t>(256, -1);
  /// (left << 32 | right) -> rank << 32 | merged id.
  std::unordered_map<uint64_t, uint64_t> merges;
  /// Whole words by their bytes, when the tokenizer says ignore_merges.
  std::unordered_map<std::string, int32_t> words;
  bool ignore_merges = false;

  /// Appends the ids of one word's bytes. n log n in its length. Bytes without a token are left out.
  void encode(std::string_view word, std::vector<int32_t>& out) const;
};

}  // namespace calliope::model
