#include "kernels/conv_bf16_internal.h"

#if defined(__AVX512F__)
#include <cstring>

#include "kernels/conv_bf16_tile.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

// Both halves of pairs as f32.
struct Pairs {
  __m512 even, odd;
};
Pairs halves(__m512i pairs) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
          _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
}

struct Ops {
  static constexpr int kLanes = 16, kRows = 8;
  static constexpr int64_t kPanels = 2;
  using Sum = __m512;
  using Weights = Pairs;
  static Sum load(const float* from) { return _mm512_loadu_ps(from); }
  static Weights weights(const uint32_t* from) { return halves(_mm512_loadu_si512(from)); }
  static Pairs pair(const uint16_t* from) {
    int32_t both;
    std::memcpy(&both, from, sizeof both);
    return halves(_mm512_set1_epi32(both));
  }
  static Sum add(Sum sum, Weights weights, Pairs pair) {
    return _mm512_fmadd_ps(weights.even, pair.even, _mm512_fmadd_ps(weights.odd, pair.odd, sum));
  }
  static void store(float* to, Sum sum, int64_t lanes) { _mm512_mask_storeu_ps(to, first_lanes_avx512(lanes), sum); }
};

}  // namespace

void conv_bf16_slice_avx512(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice<Ops>(x, w, y, range);
}

void round_to_bf16_avx512(const float* from, int64_t count, uint16_t* to) {
  const __m512i exponent = _mm512_set1_epi32(0x7f800000), one = _mm512_set1_epi32(1), half = _mm512_set1_epi32(0x7fff);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes_avx512(count - i);
    const __m512i bits = _mm512_maskz_loadu_epi32(lanes, from + i);
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)), exponent);
    const __mmask16 normal = _mm512_test_epi32_mask(bits, exponent);
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(half, _mm512_and_si512(_mm512_srli_epi32(bits, 16), one)));
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    rounded = _mm512_maskz_srli_epi32(normal, rounded, 16);
    _mm512_mask_cvtepi32_storeu_epi16(to + i, lanes, rounded);
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_bf16_slice_avx512(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice_plain(x, w, y, range);
}
void round_to_bf16_avx512(const float* from, int64_t count, uint16_t* to) { round_to_bf16_plain(from, count, to); }
}  // namespace calliope::kernels::detail
#endif
