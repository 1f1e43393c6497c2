#include "kernels/snake_beta_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>

#include <algorithm>

namespace calliope::kernels::detail {
namespace {

// Above this, an angle in f32 is reduced by the C library instead.
constexpr float kLargestAngle = 100000.0f;

// sin(x)^2 for |x| <= kLargestAngle: x less the nearest multiple of pi, which leaves the square as it is, then the odd
// polynomial of degree 9 that SLEEF uses on [-pi/2, pi/2].
__m256 sine_squared(__m256 x) {
  const __m256 turns = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0.318309886183790672f)),
                                       _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // pi = 3.14159274101257324 - 8.74227765734758577e-8 - 3.4302e-15: the fused first step is exact.
  __m256 r = _mm256_fnmadd_ps(turns, _mm256_set1_ps(3.14159274101257324f), x);
  r = _mm256_fmadd_ps(turns, _mm256_set1_ps(8.74227765734758577e-8f), r);
  const __m256 square = _mm256_mul_ps(r, r);
  __m256 p = _mm256_set1_ps(2.6083159809786593541503e-06f);
  p = _mm256_fmadd_ps(p, square, _mm256_set1_ps(-0.0001981069071916863322258f));
  p = _mm256_fmadd_ps(p, square, _mm256_set1_ps(0.00833307858556509017944336f));
  p = _mm256_fmadd_ps(p, square, _mm256_set1_ps(-0.166666597127914428710938f));
  const __m256 sine = _mm256_fmadd_ps(_mm256_mul_ps(p, square), r, r);
  return _mm256_mul_ps(sine, sine);
}

__m256 snake(__m256 x, __m256 angle, __m256 scale) { return _mm256_fmadd_ps(scale, sine_squared(angle), x); }

bool too_large(__m256 angle) {
  const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), angle);
  // Unordered, so that a NaN takes the slow way as well.
  return _mm256_movemask_ps(_mm256_cmp_ps(magnitude, _mm256_set1_ps(kLargestAngle), _CMP_NLE_UQ)) != 0;
}

}  // namespace

void snake_row_avx2(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  for (int64_t c = 0; c < channels; c += 8) {
    const int64_t count = std::min<int64_t>(8, channels - c);
    if (count == 8) {
      const __m256 value = _mm256_loadu_ps(x + c);
      const __m256 angle = _mm256_mul_ps(value, _mm256_loadu_ps(rate + c));
      if (too_large(angle)) {
        snake_row_plain(x + c, rate + c, scale + c, 8, y + c);
      } else {
        _mm256_storeu_ps(y + c, snake(value, angle, _mm256_loadu_ps(scale + c)));
      }
      continue;
    }
    alignas(32) float values[3][8] = {};
    std::copy_n(x + c, count, values[0]);
    std::copy_n(rate + c, count, values[1]);
    std::copy_n(scale + c, count, values[2]);
    const __m256 value = _mm256_load_ps(values[0]);
    const __m256 angle = _mm256_mul_ps(value, _mm256_load_ps(values[1]));
    if (too_large(angle)) {
      snake_row_plain(x + c, rate + c, scale + c, count, y + c);
    } else {
      _mm256_store_ps(values[0], snake(value, angle, _mm256_load_ps(values[2])));
      std::copy_n(values[0], count, y + c);
    }
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void snake_row_avx2(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  snake_row_plain(x, rate, scale, channels, y);
}
}  // namespace calliope::kernels::detail
#endif
