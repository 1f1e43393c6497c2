#pragma once

// Only for _avx2.cc files: eight lanes of the functions activations need, each within a few ulp of the C library's.
#if defined(__AVX2__)
#include <immintrin.h>

namespace calliope::kernels::detail {

// e^x. Cephes' expf: x = n ln 2 + r, a polynomial of degree 6 in r, times 2^n. NaN stays NaN; below -87.3 the smallest
// normal number instead of a denormal.
inline __m256 exp_avx2(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-87.3365478515625f), x);
  x = _mm256_min_ps(_mm256_set1_ps(88.7228393554688f), x);
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
  // 2^n as two factors, so that n = 128 does not overflow the exponent.
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  const auto power = [](__m256i e) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
  };
  return _mm256_mul_ps(_mm256_mul_ps(p, power(half)), power(_mm256_sub_epi32(whole, half)));
}

// erf(x), two polynomials after N. Juffa: odd below 0.93, 1 - exp of one above.
inline __m256 erf_avx2(__m256 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 t = _mm256_andnot_ps(sign, x), s = _mm256_mul_ps(x, x);
  const auto constant = [](float value) { return _mm256_set1_ps(value); };
  __m256 u = _mm256_fmadd_ps(constant(-1.72853470e-5f), t, constant(3.83197126e-4f));
  u = _mm256_fmadd_ps(u, s, _mm256_fmadd_ps(constant(-3.88396438e-3f), t, constant(2.42546219e-2f)));
  u = _mm256_fmadd_ps(u, t, constant(-1.06777877e-1f));
  u = _mm256_fmadd_ps(u, t, constant(-6.34846687e-1f));
  u = _mm256_fmadd_ps(u, t, constant(-1.28717512e-1f));
  u = _mm256_fmsub_ps(u, t, t);
  const __m256 large = _mm256_or_ps(_mm256_sub_ps(constant(1.0f), exp_avx2(u)), _mm256_and_ps(sign, x));
  __m256 p = constant(-5.96761703e-4f);
  p = _mm256_fmadd_ps(p, s, constant(4.99119423e-3f));
  p = _mm256_fmadd_ps(p, s, constant(-2.67681349e-2f));
  p = _mm256_fmadd_ps(p, s, constant(1.12819925e-1f));
  p = _mm256_fmadd_ps(p, s, constant(-3.76125336e-1f));
  p = _mm256_fmadd_ps(p, s, constant(1.28379166e-1f));
  p = _mm256_fmadd_ps(p, x, x);
  return _mm256_blendv_ps(p, large, _mm256_cmp_ps(t, constant(0.927734375f), _CMP_GT_OQ));
}

// 1 / (1 + e^-x)
inline __m256 sigmoid_avx2(__m256 x) {
  const __m256 one = _mm256_set1_ps(1.0f);
  return _mm256_div_ps(one, _mm256_add_ps(one, exp_avx2(_mm256_sub_ps(_mm256_setzero_ps(), x))));
}

// tanh(x) as 1 - 2 / (1 + e^2x): right to an ulp of 1, not of tanh, near 0.
inline __m256 tanh_avx2(__m256 x) {
  const __m256 one = _mm256_set1_ps(1.0f);
  return _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_add_ps(one, exp_avx2(_mm256_add_ps(x, x)))));
}

// ((0+4)+(2+6)) + ((1+5)+(3+7)), the order every kernel here sums lanes in.
inline float sum_avx2(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// All ones in the first `count` lanes, for maskload and maskstore.
inline __m256i first_lanes(long count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace calliope::kernels::detail
#endif
