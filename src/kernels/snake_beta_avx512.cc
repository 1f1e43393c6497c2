#include "kernels/snake_beta_internal.h"

#if defined(__AVX512F__)
#include <algorithm>

#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

// As snake_beta_avx2.cc, sixteen lanes: the same operations, so the same bits.
constexpr float kLargestAngle = 100000.0f;

__m512 sine_squared(__m512 x) {
  const __m512 turns = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.318309886183790672f)),
                                            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(turns, _mm512_set1_ps(3.14159274101257324f), x);
  r = _mm512_fmadd_ps(turns, _mm512_set1_ps(8.74227765734758577e-8f), r);
  const __m512 square = _mm512_mul_ps(r, r);
  __m512 p = _mm512_set1_ps(2.6083159809786593541503e-06f);
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(-0.0001981069071916863322258f));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(0.00833307858556509017944336f));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(-0.166666597127914428710938f));
  const __m512 sine = _mm512_fmadd_ps(_mm512_mul_ps(p, square), r, r);
  return _mm512_mul_ps(sine, sine);
}

}  // namespace

void snake_row_avx512(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  for (int64_t c = 0; c < channels; c += 16) {
    const __mmask16 lanes = first_lanes_avx512(channels - c);
    const __m512 value = _mm512_maskz_loadu_ps(lanes, x + c);
    const __m512 angle = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(lanes, rate + c));
    // Unordered, so that a NaN takes the slow way as well. By eights, as the other file does it.
    const __mmask16 large = _mm512_cmp_ps_mask(_mm512_abs_ps(angle), _mm512_set1_ps(kLargestAngle), _CMP_NLE_UQ);
    if (large == 0) {
      _mm512_mask_storeu_ps(y + c, lanes, _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, scale + c), sine_squared(angle), value));
      continue;
    }
    for (int64_t i = c; i < std::min(channels, c + 16); i += 8) {
      const int64_t count = std::min<int64_t>(8, channels - i);
      const auto few = static_cast<__mmask16>(((1 << count) - 1) << (i - c));
      if (large & few) {
        snake_row_plain(x + i, rate + i, scale + i, count, y + i);
      } else {
        _mm512_mask_storeu_ps(y + c, few, _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, scale + c), sine_squared(angle), value));
      }
    }
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void snake_row_avx512(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  snake_row_plain(x, rate, scale, channels, y);
}
}  // namespace calliope::kernels::detail
#endif
