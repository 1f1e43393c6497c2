#include "kernels/conv_bf16_internal.h"

#if defined(__AVX2__)
#include <cstring>

#include "kernels/conv_bf16_tile.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

// Both halves of pairs as f32.
struct Pairs {
  __m256 even, odd;
};
Pairs halves(__m256i pairs) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
          _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000))))};
}

struct Ops {
  static constexpr int kLanes = 8, kRows = 4;
  static constexpr int64_t kPanels = 1;
  using Sum = __m256;
  using Weights = Pairs;
  static Sum load(const float* from) { return _mm256_loadu_ps(from); }
  static Weights weights(const uint32_t* from) { return halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
  static Pairs pair(const uint16_t* from) {
    int32_t both;
    std::memcpy(&both, from, sizeof both);
    return halves(_mm256_set1_epi32(both));
  }
  static Sum add(Sum sum, Weights weights, Pairs pair) {
    return _mm256_fmadd_ps(weights.even, pair.even, _mm256_fmadd_ps(weights.odd, pair.odd, sum));
  }
  static void store(float* to, Sum sum, int64_t lanes) {
    if (lanes >= 8) return _mm256_storeu_ps(to, sum);
    if (lanes > 0) _mm256_maskstore_ps(to, first_lanes(lanes), sum);
  }
};

}  // namespace

void conv_bf16_slice_avx2(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice<Ops>(x, w, y, range);
}

void round_to_bf16_avx2(const float* from, int64_t count, uint16_t* to) {
  const __m256i exponent = _mm256_set1_epi32(0x7f800000), one = _mm256_set1_epi32(1), half = _mm256_set1_epi32(0x7fff);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    const __m256i nan = _mm256_cmpgt_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff)), exponent);
    const __m256i tiny = _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), _mm256_setzero_si256());
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(half, _mm256_and_si256(_mm256_srli_epi32(bits, 16), one)));
    rounded = _mm256_blendv_epi8(rounded, _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)), nan);
    rounded = _mm256_srli_epi32(_mm256_andnot_si256(tiny, rounded), 16);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), packed);
  }
  round_to_bf16_plain(from + i, count - i, to + i);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_bf16_slice_avx2(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice_plain(x, w, y, range);
}
void round_to_bf16_avx2(const float* from, int64_t count, uint16_t* to) { round_to_bf16_plain(from, count, to); }
}  // namespace calliope::kernels::detail
#endif
