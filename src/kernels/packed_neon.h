#pragma once

// For packed_linear_neon.cc and packed_linear_neondot.cc, which differ in how they multiply bytes.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/packed_internal.h"
#include "kernels/unroll.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// 32 inputs in eight vectors: quants, scale and sums as packed_internal.h says.
bool quantize_block(const float* x, DType type, int64_t tokens, int32_t* to) {
  uint32x4_t tops = vdupq_n_u32(0);
  for (int i = 0; i < 8; ++i) tops = vmaxq_u32(tops, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + 4 * i))));
  const BlockScale block = block_scale(type, vmaxvq_u32(tops));
  int32_t sums[2] = {};
  for (int i = 0; i < 8; ++i) {
    const int32x4_t q = block.used ? vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), block.inverse)) : vdupq_n_s32(0);
    sums[i / 4] += vaddvq_s32(q);
    const int16x4_t narrow = vmovn_s32(q);
    to[i * tokens] = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(narrow, narrow))), 0);
  }
  to[8 * tokens] = block.word;
  const int32_t offset = offset_of(type);
  if (type == DType::q6_k) {
    to[9 * tokens] = -offset * sums[0];
    to[10 * tokens] = -offset * sums[1];
    return block.finite;
  }
  to[9 * tokens] = -offset * (sums[0] + sums[1]);
  to[10 * tokens] = std::bit_cast<int32_t>(-(block.scale * static_cast<float>(sums[0] + sums[1])));
  return block.finite;
}

uint32_t quantize(tensor::ConstRows x, DType type, int32_t* tile) {
  uint32_t infinite = 0;
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* row = x.row(t);
    bool finite = true;
    for (int64_t b = 0; b < x.cols / 32; ++b)
      finite &= quantize_block(row + 32 * b, type, x.rows, tile + b * kTileWords * x.rows + t);
    infinite |= static_cast<uint32_t>(!finite) << t;
  }
  return infinite;
}

float32x4_t halves(const std::byte* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p))));
}

float32x4_t small(const std::byte* p, bool is_signed) {
  uint32_t four;
  std::memcpy(&four, p, 4);
  const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
  if (is_signed) return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes)))));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
}

// Four features from 4 `quarter` on, kTokens tokens from t on. Dot::add(sums, weights, inputs) adds to each of four
// sums the products of four bytes.
template <class Dot, DType kType, int kTokens>
void multiply_tile(const PanelCall& call, int64_t quarter, int64_t token) {
  constexpr PanelLayout layout{kType};
  const std::byte* panel = call.w.panel(call.panel);
  const int64_t stride = call.to.rows, cols = std::min<int64_t>(4, call.to.cols - 4 * quarter);
  float32x4_t y[kTokens];
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    y[t] = call.begin == 0 ? vdupq_n_f32(0.0f) : load_first_neon(call.from.row(token + t) + 4 * quarter, cols);
  }
  const int32_t* tile = call.tile + call.begin * kTileWords * stride + token;
  for (int64_t b = call.begin; b < call.end; ++b, tile += kTileWords * stride) {
    const std::byte* quants = panel + layout.quants(b) + 16 * quarter;
    int32x4_t sums[kTokens];
    // Q8_0's weights get their sign back, so that their sums start from zero.
    const auto start = [&](int word) __attribute__((always_inline)) {
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) sums[t] = vdupq_n_s32(kType == DType::q8_0 ? 0 : tile[word * stride + t]);
    };
    const auto step = [&](uint8x16_t stored, int s) __attribute__((always_inline)) {
      const int8x16_t weights = vreinterpretq_s8_u8(kType == DType::q8_0 ? veorq_u8(stored, vdupq_n_u8(0x80)) : stored);
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t)
        sums[t] = Dot::add(sums[t], weights, vreinterpretq_s8_s32(vdupq_n_s32(tile[s * stride + t])));
    };
    const auto load = [&](int s) { return vld1q_u8(reinterpret_cast<const uint8_t*>(quants + 64 * s)); };
    const auto finish = [&](float32x4_t scale) __attribute__((always_inline)) {
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const int32_t word = tile[8 * stride + t];
        const float32x4_t both =
            is_k_type(kType) ? vmulq_n_f32(scale, std::bit_cast<float>(word))
                             : vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(scale), vdupq_n_s32(word)));
        y[t] = vfmaq_f32(y[t], vcvtq_f32_s32(sums[t]), both);
      }
    };
    const float32x4_t d = halves(panel + layout.scales(b) + 8 * quarter);
    const std::byte* scales = is_k_type(kType) ? panel + layout.small_scales(b) + 4 * quarter : nullptr;
    start(9);
    if constexpr (kType == DType::q6_k) {
      CALLIOPE_UNROLL
      for (int s = 0; s < 4; ++s) step(load(s), s);
      finish(vmulq_f32(d, small(scales, true)));
      start(10);
      CALLIOPE_UNROLL
      for (int s = 4; s < 8; ++s) step(load(s), s);
      finish(vmulq_f32(d, small(scales + 16, true)));
      continue;
    }
    if constexpr (quant_bytes(kType) == 512) {
      CALLIOPE_UNROLL
      for (int s = 0; s < 8; ++s) step(load(s), s);
    } else {
      CALLIOPE_UNROLL
      for (int s = 0; s < 4; ++s) {
        const uint8x16_t pair = load(s);
        step(vandq_u8(pair, vdupq_n_u8(15)), s);
        step(vshrq_n_u8(pair, 4), s + 4);
      }
    }
    if constexpr (is_k_type(kType)) {
      finish(vmulq_f32(d, small(scales, false)));
      const float32x4_t mins =
          vmulq_f32(halves(panel + layout.scales(b) + 32 + 8 * quarter), small(scales + 128, false));
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        float input;
        std::memcpy(&input, tile + 10 * stride + t, 4);
        y[t] = vfmaq_f32(y[t], mins, vdupq_n_f32(input));
      }
    } else {
      finish(d);
    }
  }
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) store_first_neon(call.to.row(token + t) + 4 * quarter, y[t], cols);
}

template <class Dot, DType kType>
void multiply_type(const PanelCall& call) {
  for (int64_t quarter = 0; 4 * quarter < call.to.cols; ++quarter) {
    const int64_t tokens = call.to.rows;
    int64_t t = 0;
    for (; t + 8 <= tokens; t += 8) multiply_tile<Dot, kType, 8>(call, quarter, t);
    if (tokens - t >= 4) multiply_tile<Dot, kType, 4>(call, quarter, t), t += 4;
    if (tokens - t >= 2) multiply_tile<Dot, kType, 2>(call, quarter, t), t += 2;
    if (t < tokens) multiply_tile<Dot, kType, 1>(call, quarter, t);
  }
}

template <class Dot>
void multiply(const PanelCall& call) {
  switch (call.w.type()) {
    case DType::q8_0: return multiply_type<Dot, DType::q8_0>(call);
    case DType::q4_0: return multiply_type<Dot, DType::q4_0>(call);
    case DType::q4_k: return multiply_type<Dot, DType::q4_k>(call);
    case DType::q5_k: return multiply_type<Dot, DType::q5_k>(call);
    default: return multiply_type<Dot, DType::q6_k>(call);
  }
}

}  // namespace
}  // namespace calliope::kernels::detail
#endif
