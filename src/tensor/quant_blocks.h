#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace calliope::tensor {

/// GGML's quantised blocks, byte for byte. Scales are f16 bits; all fields little-endian.

/// 32 elements: d * qs[i].
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};

/// 32 elements: d * (nibble - 8). Element i < 16 is the low nibble of qs[i], element 16 + i the high one.
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};

/// 256 elements in eight groups of 32: d * scale * nibble - dmin * min. scales packs eight 6-bit scales and eight 6-bit
/// mins (group_scale, group_min). Groups 2k and 2k + 1 are the low and high nibbles of qs[32k .. 32k + 31].
struct BlockQ4K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

/// As BlockQ4K with a fifth bit: of group g's element i it is bit g of qh[i].
struct BlockQ5K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

/// 256 elements in sixteen groups of 16: d * scales[group] * (q - 32), q of six bits. Each half of 128 elements takes 64
/// bytes of ql and 32 of qh: elements 0..63 are the low nibbles, 64..127 the high ones; the two upper bits of element
/// 32k + i are bits 2k, 2k + 1 of qh[i].
struct BlockQ6K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};

static_assert(sizeof(BlockQ8_0) == block_bytes(DType::q8_0) && sizeof(BlockQ4_0) == block_bytes(DType::q4_0));
static_assert(sizeof(BlockQ4K) == block_bytes(DType::q4_k) && sizeof(BlockQ5K) == block_bytes(DType::q5_k));
static_assert(sizeof(BlockQ6K) == block_bytes(DType::q6_k));
static_assert(alignof(BlockQ8_0) == 2 && alignof(BlockQ4K) == 2 && alignof(BlockQ6K) == 2);

/// The 6-bit scale, or min, of group 0..7 of a Q4_K or Q5_K block.
constexpr int group_scale(const uint8_t (&scales)[12], int group) {
  return group < 4 ? scales[group] & 63 : (scales[group + 4] & 15) | (scales[group - 4] >> 6) << 4;
}
constexpr int group_min(const uint8_t (&scales)[12], int group) {
  return group < 4 ? scales[group + 4] & 63 : scales[group + 4] >> 4 | (scales[group] >> 6) << 4;
}

/// Element i of quantised data. type must be quantised, data aligned to 2.
float dequantize_at(DType type, const std::byte* data, int64_t i);

/// out.size() elements, whole blocks, to f32.
void dequantize(DType type, const std::byte* data, std::span<float> out);

/// values.size() elements, whole blocks of 32, rounded to nearest as ggml's reference does it. What is too large for an
/// f16 scale becomes infinite. type must be q8_0 or q4_0.
void quantize(DType type, std::span<const float> values, std::byte* out);

}  // namespace calliope::tensor
