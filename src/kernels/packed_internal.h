#pragma once

#include <bit>

#include "kernels/packed_linear.h"
#include "kernels/unroll.h"

namespace calliope::kernels::detail {

// A panel of 16 output features, every part of it a whole number of 64-byte lines; b counts blocks of 32 inputs.
//   Q8_0  for each two blocks: scales f16 [2, 16], quants [2, 8, 16, 4]: byte 4 r + c of step s is feature r's weight
//   of
//         input 32 b + 4 s + c, plus 128. Of an odd last block only the first half
//   Q4_0  for each two blocks: scales f16 [2, 16], nibbles [2, 4, 16, 4]: byte 4 r + c of pair s holds feature r's
//         weights of inputs 32 b + 4 s + c (low) and 32 b + 16 + 4 s + c (high), plus 8
//   Their scales are never zero: a block whose scale is has the scale one and no weights instead.
//   Q4_K  for each 256 inputs: d f16 [16], dmin f16 [16], scales u8 [8, 16], mins u8 [8, 16], nibbles [8, 4, 16, 4]
//   Q5_K  as Q4_K with quants [8, 8, 16, 4] of 0..31
//   Q6_K  for each 256 inputs: d f16 [16], 32 bytes of nothing, scales i8 [8, 2, 16], quants [8, 8, 16, 4] of 0..63

constexpr bool is_k_type(tensor::DType type) {
  return type == tensor::DType::q4_k || type == tensor::DType::q5_k || type == tensor::DType::q6_k;
}

/// Bytes of 16 features' quants of one block.
constexpr size_t quant_bytes(tensor::DType type) {
  return type == tensor::DType::q4_0 || type == tensor::DType::q4_k ? 256 : 512;
}

/// What is added to a weight so that it is stored without a sign.
constexpr int32_t offset_of(tensor::DType type) {
  return type == tensor::DType::q8_0 ? 128 : type == tensor::DType::q4_0 ? 8 : type == tensor::DType::q6_k ? 32 : 0;
}

/// Where a block's parts lie in a panel.
struct PanelLayout {
  tensor::DType type;
  constexpr int64_t group_blocks() const { return is_k_type(type) ? 8 : 2; }
  constexpr size_t header_bytes() const { return is_k_type(type) ? 64 + 256 : 64; }
  constexpr size_t group_bytes() const {
    return header_bytes() + static_cast<size_t>(group_blocks()) * quant_bytes(type);
  }
  constexpr size_t group_at(int64_t block) const { return static_cast<size_t>(block / group_blocks()) * group_bytes(); }
  constexpr size_t quants(int64_t block) const {
    return group_at(block) + header_bytes() + static_cast<size_t>(block % group_blocks()) * quant_bytes(type);
  }
  /// The f16 scales of 16 features.
  constexpr size_t scales(int64_t block) const {
    return group_at(block) + (is_k_type(type) ? 0 : static_cast<size_t>(block % 2) * 32);
  }
  /// K types: the 8-bit scales of the block; Q4_K's and Q5_K's mins come 128 bytes later.
  constexpr size_t small_scales(int64_t block) const {
    return group_at(block) + 64 + static_cast<size_t>(block % 8) * (type == tensor::DType::q6_k ? 32 : 16);
  }
  constexpr size_t panel_bytes(int64_t blocks) const {
    return blocks % group_blocks() == 0 ? group_at(blocks) : quants(blocks - 1) + quant_bytes(type);
  }
};

// Activations are quantised row by row in blocks of 32: x ~ scale * q, q rounded to nearest even. The scale is max |x|
// / 127 for K types. For Q8_0 and Q4_0 it is the smallest power of two that is not below that: a weight's scale times
// it is then an integer addition to the exponent, which leaves the multipliers to the products. A tile holds up to
// kTileTokens rows; for each block, with n rows:
//   i32 [8, n]  four quants each: byte c of step s is input 4 s + c
//   i32 [n]     K types: the bits of the f32 scale. Q8_0, Q4_0: log2(scale) << 23
//   i32 [n]     what the sum of products starts from: - offset_of(type) * sum of the quants (Q6_K: of the first half)
//   i32 [n]     Q6_K: the same for the second half. Q4_K, Q5_K: the bits of the f32 - scale * sum of the quants
constexpr int64_t kTileTokens = 8;
constexpr int64_t kTileWords = 11;

/// Blocks whose inputs are all below kSmallest are zero: with the smallest weight scale the product would be no normal
/// number. Inputs of kLargest and beyond count as not finite: with the largest it would overflow.
constexpr float kSmallest = 0x1p-80f, kLargest = 0x1p118f;

/// What log2(scale) << 23 is for a block of Q8_0 or Q4_0 whose largest magnitude has these bits. 127 is 1.984375 * 2^6.
constexpr uint32_t kRoundUp = 0x1ffff, kExponent = 0x7f800000, kExponentOfOne = 127 << 23,
                   kExponentOf64 = (127 + 6) << 23;

/// How a block is rounded.
struct BlockScale {
  bool finite, used;     ///< if not used, its quants are zero
  float scale, inverse;  ///< x ~ scale * round(x * inverse)
  int32_t word;          ///< as a tile holds it
};

/// top_bits are those of the largest magnitude.
CALLIOPE_INLINE BlockScale block_scale(tensor::DType type, uint32_t top_bits) {
  const float top = std::bit_cast<float>(top_bits);
  const bool finite = top_bits < std::bit_cast<uint32_t>(kLargest),
             used = finite && top_bits >= std::bit_cast<uint32_t>(kSmallest);
  if (!used) return {finite, used, 0.0f, 0.0f, 0};
  if (is_k_type(type)) {
    const float scale = top / 127.0f;
    return {finite, used, scale, 127.0f / top, std::bit_cast<int32_t>(scale)};
  }
  const auto word = static_cast<int32_t>(((top_bits + kRoundUp) & kExponent) - kExponentOf64);
  return {finite, used, std::bit_cast<float>(int32_t{kExponentOfOne} + word),
          std::bit_cast<float>(int32_t{kExponentOfOne} - word), word};
}

/// Rows [first, first + n) of x as one tile. Bit t of what it returns: row t has an input that is not finite, or counts
/// as such; all of its outputs are NaN (linear() sees to it).
using QuantizeTile = uint32_t (*)(tensor::ConstRows x, tensor::DType type, int32_t* tile);

/// A part of a layer's product: one panel, one tile, blocks [begin, end).
struct PanelCall {
  const PackedLinear& w;
  int64_t panel;
  int64_t begin, end;      ///< blocks; K types: begin is a multiple of 8
  const int32_t* tile;     ///< at block 0
  tensor::ConstRows from;  ///< [tokens, 16] sums of the blocks before; not read when begin is 0
  tensor::Rows to;         ///< [tokens, cols] where sums go; cols is 16, or fewer in the last panel
  bool ahead = false;      ///< the panels are read once, one after the other, from memory: fetch what comes next
};

/// Every sum is fma(f32(integer sum), weight scale * activation scale, sum) block by block in rising order, one more
/// fma(min, - scale * sum, sum) for Q4_K and Q5_K, and one for each half of a block of Q6_K: one order and one rounding
/// for every instruction set, batch and number of threads.
using MultiplyPanel = void (*)(const PanelCall& call);

struct PackedKernels {
  QuantizeTile quantize;
  MultiplyPanel multiply;
};
extern const PackedKernels kPackedPlain;
extern const PackedKernels kPackedAvx2;
extern const PackedKernels kPackedAvx512;
extern const PackedKernels kPackedNeon;
extern const PackedKernels kPackedNeonDot;
/// Those of the active instruction set.
const PackedKernels& packed_kernels();

}  // namespace calliope::kernels::detail
