#include "kernels/conv_bf16_internal.h"

#if defined(__aarch64__)
#include <cstring>

#include "kernels/conv_bf16_tile.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

// Both halves of pairs as f32.
struct Pairs {
  float32x4_t even, odd;
};
Pairs halves(uint32x4_t pairs) {
  return {vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)), vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)))};
}

struct Ops {
  static constexpr int kLanes = 4, kRows = 4;
  static constexpr int64_t kPanels = 1;
  using Sum = float32x4_t;
  using Weights = Pairs;
  static Sum load(const float* from) { return vld1q_f32(from); }
  static Weights weights(const uint32_t* from) { return halves(vld1q_u32(from)); }
  static Pairs pair(const uint16_t* from) {
    uint32_t both;
    std::memcpy(&both, from, sizeof both);
    return halves(vdupq_n_u32(both));
  }
  static Sum add(Sum sum, Weights weights, Pairs pair) {
    return vfmaq_f32(vfmaq_f32(sum, weights.odd, pair.odd), weights.even, pair.even);
  }
  static void store(float* to, Sum sum, int64_t lanes) { store_first_neon(to, sum, lanes); }
};

}  // namespace

void conv_bf16_slice_neon(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice<Ops>(x, w, y, range);
}

void round_to_bf16_neon(const float* from, int64_t count, uint16_t* to) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint32x4_t bits = vld1q_u32(reinterpret_cast<const uint32_t*>(from + i)), exponent = vdupq_n_u32(0x7f800000);
    const uint32x4_t nan = vcgtq_u32(vandq_u32(bits, vdupq_n_u32(0x7fffffff)), exponent);
    const uint32x4_t tiny = vceqq_u32(vandq_u32(bits, exponent), vdupq_n_u32(0));
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(vdupq_n_u32(0x7fff), odd));
    rounded = vbslq_u32(nan, vorrq_u32(bits, vdupq_n_u32(0x400000)), rounded);
    vst1_u16(to + i, vshrn_n_u32(vbicq_u32(rounded, tiny), 16));
  }
  round_to_bf16_plain(from + i, count - i, to + i);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_bf16_slice_neon(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice_plain(x, w, y, range);
}
void round_to_bf16_neon(const float* from, int64_t count, uint16_t* to) { round_to_bf16_plain(from, count, to); }
}  // namespace calliope::kernels::detail
#endif
