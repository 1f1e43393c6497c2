#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/packed_internal.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

bool quantize_block(const float* x, DType type, int64_t tokens, int32_t* to) {
  uint32_t top_bits = 0;  // magnitudes order as their bits do, with what is not finite behind all numbers
  for (int i = 0; i < 32; ++i) top_bits = std::max(top_bits, std::bit_cast<uint32_t>(std::abs(x[i])));
  const BlockScale block = block_scale(type, top_bits);
  int8_t quants[32];
  int32_t sums[2] = {};
  for (int i = 0; i < 32; ++i) {
    quants[i] = block.used ? static_cast<int8_t>(std::nearbyint(x[i] * block.inverse)) : int8_t{0};
    sums[i / 16] += quants[i];
  }
  for (int64_t step = 0; step < 8; ++step) std::memcpy(to + step * tokens, quants + 4 * step, 4);
  to[8 * tokens] = block.word;
  const int32_t offset = offset_of(type);
  if (type == DType::q6_k) {
    to[9 * tokens] = -offset * sums[0];
    to[10 * tokens] = -offset * sums[1];
  } else {
    to[9 * tokens] = -offset * (sums[0] + sums[1]);
    to[10 * tokens] = std::bit_cast<int32_t>(-(block.scale * static_cast<float>(sums[0] + sums[1])));
  }
  return block.finite;
}

uint32_t quantize(tensor::ConstRows x, DType type, int32_t* tile) {
  uint32_t infinite = 0;
  for (int64_t b = 0; b < x.cols / 32; ++b) {
    for (int64_t t = 0; t < x.rows; ++t) {
      const bool finite = quantize_block(x.row(t) + 32 * b, type, x.rows, tile + b * kTileWords * x.rows + t);
      infinite |= static_cast<uint32_t>(!finite) << t;
    }
  }
  return infinite;
}

float half(const std::byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return tensor::f16_to_f32(bits);
}

// Stored quant `i` of 32 of one feature.
int quant(DType type, const std::byte* quants, int64_t feature, int i) {
  if (quant_bytes(type) == 512) return static_cast<int>(quants[64 * (i / 4) + 4 * feature + i % 4]);
  const auto pair = static_cast<int>(quants[64 * (i % 16 / 4) + 4 * feature + i % 4]);
  return i < 16 ? pair & 15 : pair >> 4;
}

float add_block(DType type, const std::byte* panel, const PanelLayout& layout, int64_t b, int64_t feature,
                const int32_t* activations, int64_t tokens, float y) {
  int32_t sums[2] = {};
  for (int i = 0; i < 32; ++i) {
    int8_t bytes[4];
    std::memcpy(bytes, activations + i / 4 * tokens, 4);
    sums[i / 16] += quant(type, panel + layout.quants(b), feature, i) * bytes[i % 4];
  }
  const int32_t word = activations[8 * tokens];
  const auto scale = std::bit_cast<float>(word);  // of K types
  const float d = half(panel + layout.scales(b) + 2 * feature);
  const std::byte* small = is_k_type(type) ? panel + layout.small_scales(b) + feature : nullptr;
  if (type == DType::q6_k) {
    for (int i = 0; i < 2; ++i) {
      const float weight = d * static_cast<float>(static_cast<int8_t>(small[16 * i]));
      y = std::fma(static_cast<float>(sums[i] + activations[(9 + i) * tokens]), weight * scale, y);
    }
    return y;
  }
  const float whole = static_cast<float>(sums[0] + sums[1] + activations[9 * tokens]);
  if (!is_k_type(type)) return std::fma(whole, std::bit_cast<float>(std::bit_cast<int32_t>(d) + word), y);
  y = std::fma(whole, d * static_cast<float>(small[0]) * scale, y);
  const float min = half(panel + layout.scales(b) + 32 + 2 * feature) * static_cast<float>(small[128]);
  return std::fma(min, std::bit_cast<float>(activations[10 * tokens]), y);
}

void multiply(const PanelCall& call) {
  const PanelLayout layout{call.w.type()};
  const std::byte* panel = call.w.panel(call.panel);
  const int64_t tokens = call.to.rows;
  for (int64_t feature = 0; feature < call.to.cols; ++feature) {
    for (int64_t t = 0; t < tokens; ++t) {
      float sum = call.begin == 0 ? 0.0f : call.from.row(t)[feature];
      for (int64_t b = call.begin; b < call.end; ++b) {
        sum = add_block(call.w.type(), panel, layout, b, feature, call.tile + b * kTileWords * tokens + t, tokens, sum);
      }
      call.to.row(t)[feature] = sum;
    }
  }
}

}  // namespace

const PackedKernels kPackedPlain = {quantize, multiply};

}  // namespace calliope::kernels::detail
