#include "kernels/elementwise_internal.h"

#if defined(__AVX2__)
#include <algorithm>

#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

__m256 constant(float value) { return _mm256_set1_ps(value); }

// x[i] = f(x[i]); the last lanes are loaded and stored under a mask, so nothing beyond n is touched.
template <class F>
void each(float* x, int64_t n, F f) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, f(_mm256_loadu_ps(x + i)));
  if (i == n) return;
  const __m256i mask = first_lanes(n - i);
  _mm256_maskstore_ps(x + i, mask, f(_mm256_maskload_ps(x + i, mask)));
}

template <class F>
void each(const float* a, float* x, int64_t n, F f) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, f(_mm256_loadu_ps(a + i), _mm256_loadu_ps(x + i)));
  if (i == n) return;
  const __m256i mask = first_lanes(n - i);
  _mm256_maskstore_ps(x + i, mask, f(_mm256_maskload_ps(a + i, mask), _mm256_maskload_ps(x + i, mask)));
}

void add(const float* a, float* x, int64_t n) {
  each(a, x, n, [](__m256 from, __m256 to) { return _mm256_add_ps(to, from); });
}

void silu_mul(const float* up, float* gate, int64_t n) {
  each(up, gate, n, [](__m256 u, __m256 g) { return _mm256_mul_ps(_mm256_mul_ps(g, sigmoid_avx2(g)), u); });
}

void silu(float* x, int64_t n) {
  each(x, n, [](__m256 v) { return _mm256_mul_ps(v, sigmoid_avx2(v)); });
}

void gelu(float* x, int64_t n) {
  each(x, n, [](__m256 v) {
    const __m256 phi = _mm256_add_ps(constant(1.0f), erf_avx2(_mm256_mul_ps(v, constant(0.70710678118654752f))));
    return _mm256_mul_ps(_mm256_mul_ps(constant(0.5f), v), phi);
  });
}

void gelu_tanh(float* x, int64_t n) {
  each(x, n, [](__m256 v) {
    const __m256 cube = _mm256_mul_ps(_mm256_mul_ps(_mm256_mul_ps(constant(0.044715f), v), v), v);
    const __m256 angle = _mm256_mul_ps(constant(0.79788456080286536f), _mm256_add_ps(v, cube));
    return _mm256_mul_ps(_mm256_mul_ps(constant(0.5f), v), _mm256_add_ps(constant(1.0f), tanh_avx2(angle)));
  });
}

void softmax(float* x, int64_t n) {
  const __m256 top = constant(*std::max_element(x, x + n));
  __m256 sums = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 e = exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(x + i), top));
    sums = _mm256_add_ps(sums, e);
    _mm256_storeu_ps(x + i, e);
  }
  if (i < n) {
    const __m256i mask = first_lanes(n - i);
    const __m256 e = exp_avx2(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), top));
    sums = _mm256_add_ps(sums, _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
    _mm256_maskstore_ps(x + i, mask, e);
  }
  const __m256 sum = constant(sum_avx2(sums));
  each(x, n, [&](__m256 e) { return _mm256_div_ps(e, sum); });
}

void rope(float* x, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; i += 8) {
    const __m256i mask = first_lanes(std::min<int64_t>(8, half - i));
    const __m256 c = _mm256_maskload_ps(cosine + i, mask), s = _mm256_maskload_ps(sine + i, mask);
    const __m256 a = _mm256_maskload_ps(x + i, mask), b = _mm256_maskload_ps(x + half + i, mask);
    _mm256_maskstore_ps(x + i, mask, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
    _mm256_maskstore_ps(x + half + i, mask, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
  }
}

}  // namespace

const ElementwiseRows kElementwiseAvx2 = {add, silu_mul, silu, gelu, gelu_tanh, softmax, rope};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const ElementwiseRows kElementwiseAvx2 = kElementwisePlain;
}  // namespace calliope::kernels::detail
#endif
