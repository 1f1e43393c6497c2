#include "kernels/elementwise_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>

#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

// Lanes 0..3 and 4..7 of eight sums in double.
struct Sums {
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();

  double total() const {
    const __m256d four = _mm256_add_pd(low, high);  // 0+4, 1+5, 2+6, 3+7
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
  }
};

// add(four values, sums of their lanes) for the whole vectors of x.
template <class Add>
double sum_of(const float* x, int64_t n, Add add) {
  Sums sums;
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    add(_mm256_cvtps_pd(_mm_loadu_ps(x + i)), sums.low);
    add(_mm256_cvtps_pd(_mm_loadu_ps(x + i + 4)), sums.high);
  }
  return sums.total();
}

double sum(const float* x, int64_t n) {
  double total = sum_of(x, n, [](__m256d v, __m256d& to) { to = _mm256_add_pd(to, v); });
  for (int64_t i = n / 8 * 8; i < n; ++i) total += x[i];
  return total;
}

double squares(const float* x, double mean, int64_t n) {
  const __m256d center = _mm256_set1_pd(mean);
  double total = sum_of(x, n, [&](__m256d v, __m256d& to) {
    const __m256d d = _mm256_sub_pd(v, center);
    to = _mm256_fmadd_pd(d, d, to);
  });
  for (int64_t i = n / 8 * 8; i < n; ++i) total += (x[i] - mean) * (x[i] - mean);
  return total;
}

void scale(const float* x, float mean, float factor, const float* w, float* y, int64_t n) {
  const __m256 center = _mm256_set1_ps(mean), by = _mm256_set1_ps(factor);
  const auto one = [&](__m256 v, __m256 weight) {
    return _mm256_mul_ps(_mm256_mul_ps(_mm256_sub_ps(v, center), by), weight);
  };
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, one(_mm256_loadu_ps(x + i), _mm256_loadu_ps(w + i)));
  if (i == n) return;
  const __m256i mask = first_lanes(n - i);
  _mm256_maskstore_ps(y + i, mask, one(_mm256_maskload_ps(x + i, mask), _mm256_maskload_ps(w + i, mask)));
}

}  // namespace

const NormRows kNormAvx2 = {sum, squares, scale};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const NormRows kNormAvx2 = kNormPlain;
}  // namespace calliope::kernels::detail
#endif
