#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

/// Reads all bytes, as fast as one thread can. `bytes` is a multiple of 256.
void read_all(const std::byte* from, size_t bytes);

/// `steps` rounds of independent 8-bit multiply-adds in registers.
constexpr int64_t kMultiplyAddsPerStep = 12 * 64;
void int8_multiply_adds(int64_t steps);

}  // namespace bench
