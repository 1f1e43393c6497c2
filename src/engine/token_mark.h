#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "assistant/request.h"

namespace calliope::engine {

/// 128 bits of a medium's content (SipHash). The key is drawn anew by every process, so nobody can make two media that
/// agree.
struct ContentHash {
  uint64_t a = 0, b = 0;
  bool operator==(const ContentHash&) const = default;
};
ContentHash content_hash(std::span<const std::byte> bytes);
ContentHash content_hash(const assistant::Image& image);
/// `also`: what it depends on beside the numbers.
ContentHash content_hash(std::span<const float> numbers, std::initializer_list<uint64_t> also);

/// What one row of a sequence is: a token, or a row of a medium. Two sequences whose marks agree up to a row have the same
/// keys and values up to it.
struct TokenMark {
  uint64_t a = 0, b = 0;
  bool operator==(const TokenMark&) const = default;

  static TokenMark token(int32_t id) { return {static_cast<uint64_t>(id), 0}; }
  static TokenMark medium(const ContentHash& hash, int64_t row) {
    return {hash.a + static_cast<uint64_t>(row), hash.b | uint64_t{1} << 63};
  }
};

}  // namespace calliope::engine
