#include "kernels/linear_internal.h"

#if defined(__AVX512F__)
#include <algorithm>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// Loads the weights of the lanes given as f32, zeros elsewhere.
template <DType kType>
CALLIOPE_INLINE __m512 load_weights(const std::byte* p, __mmask16 lanes) {
  if constexpr (kType == DType::f32) return _mm512_maskz_loadu_ps(lanes, p);
  const __m256i bits = _mm256_maskz_loadu_epi16(lanes, p);
  if constexpr (kType == DType::f16) return _mm512_cvtph_ps(bits);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

CALLIOPE_INLINE __m128 four_lanes(__m512 v) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

// sum_avx512 of four vectors.
CALLIOPE_INLINE __m128 sums_of_four(const __m512* v) {
  const __m128 a = four_lanes(v[0]), b = four_lanes(v[1]), c = four_lanes(v[2]), d = four_lanes(v[3]);
  const __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));  // a0+a2, b0+b2, a1+a3, b1+b3
  const __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
  return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

// kTokens x kFeatures dot products, one accumulator each: the order of summation is the same in every tile shape.
template <DType kType, int kTokens, int kFeatures>
void tile(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t t, int64_t o) {
  constexpr auto kSize = static_cast<int64_t>(tensor::size_of(kType));
  const int64_t in = x.cols;
  __m512 sums[kTokens][kFeatures];
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) sums[k][f] = _mm512_setzero_ps();
  }
  const std::byte* w = weight + o * in * kSize;
  const auto step = [&](int64_t i, __mmask16 lanes) __attribute__((always_inline)) {
    __m512 features[kFeatures];
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) {
      const std::byte* from = w + (f * in + i) * kSize;
      features[f] = load_weights<kType>(from, lanes);
      // One token reads the weights once, from memory: fetch what the next tile reads.
      if constexpr (kTokens == 1) _mm_prefetch(reinterpret_cast<const char*>(from + kFeatures * in * kSize), _MM_HINT_T1);
    }
    CALLIOPE_UNROLL
    for (int k = 0; k < kTokens; ++k) {
      const __m512 token = _mm512_maskz_loadu_ps(lanes, x.row(t + k) + i);
      CALLIOPE_UNROLL
      for (int f = 0; f < kFeatures; ++f) sums[k][f] = _mm512_fmadd_ps(token, features[f], sums[k][f]);
    }
  };
  int64_t i = 0;
  for (; i + 16 <= in; i += 16) step(i, 0xffff);
  if (i < in) step(i, first_lanes_avx512(in - i));
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    if constexpr (kFeatures % 4 == 0) {
      CALLIOPE_UNROLL
      for (int f = 0; f < kFeatures; f += 4) _mm_storeu_ps(y.row(t + k) + o + f, sums_of_four(sums[k] + f));
    } else {
      CALLIOPE_UNROLL
      for (int f = 0; f < kFeatures; ++f) y.row(t + k)[o + f] = sum_avx512(sums[k][f]);
    }
  }
}

template <DType kType, int kTokens>
void tokens(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t t, int64_t begin, int64_t end) {
  constexpr int kWide = kTokens == 1 ? 8 : 4;
  int64_t o = begin;
  for (; o + kWide <= end; o += kWide) tile<kType, kTokens, kWide>(x, weight, y, t, o);
  for (; o < end; ++o) tile<kType, kTokens, 1>(x, weight, y, t, o);
}

template <DType kType>
void slice(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t begin, int64_t end) {
  // As many features at a time as the second-level cache holds while the tokens pass by.
  const auto row_bytes = std::max<int64_t>(1, x.cols * static_cast<int64_t>(tensor::size_of(kType)));
  const int64_t features = std::max<int64_t>(8, (int64_t{256} << 10) / row_bytes / 8 * 8);
  for (int64_t first = begin; first < end; first += features) {
    const int64_t last = std::min(end, first + features);
    int64_t t = 0;
    for (; t + 6 <= x.rows; t += 6) tokens<kType, 6>(x, weight, y, t, first, last);
    switch (x.rows - t) {
      case 5: tokens<kType, 5>(x, weight, y, t, first, last); break;
      case 4: tokens<kType, 4>(x, weight, y, t, first, last); break;
      case 3: tokens<kType, 3>(x, weight, y, t, first, last); break;
      case 2: tokens<kType, 2>(x, weight, y, t, first, last); break;
      case 1: tokens<kType, 1>(x, weight, y, t, first, last); break;
      default: break;
    }
  }
}

}  // namespace

void linear_slice_avx512(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
  switch (weight.dtype) {
    case DType::f32: return slice<DType::f32>(x, weight.data, y, begin, end);
    case DType::f16: return slice<DType::f16>(x, weight.data, y, begin, end);
    case DType::bf16: return slice<DType::bf16>(x, weight.data, y, begin, end);
    default: return linear_slice_plain(x, weight, y, begin, end);
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void linear_slice_avx512(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
  linear_slice_plain(x, weight, y, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
