#include "kernels/linear_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>

#include <cstring>

#include "kernels/unroll.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// Loads 8 weights, or the first `count` of them with zeros behind, as f32.
template <DType kType>
__m256 load_weights(const std::byte* p) {
  if constexpr (kType == DType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  if constexpr (kType == DType::f16) return _mm256_cvtph_ps(bits);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <DType kType>
__m256 load_weights_tail(const std::byte* p, int64_t count) {
  alignas(32) std::byte padded[32] = {};
  std::memcpy(padded, p, static_cast<size_t>(count) * tensor::size_of(kType));
  return load_weights<kType>(padded);
}

__m256 load_tail(const float* p, int64_t count) {
  alignas(32) float padded[8] = {};
  std::memcpy(padded, p, static_cast<size_t>(count) * sizeof(float));
  return _mm256_load_ps(padded);
}

float horizontal_sum(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// kTokens x kFeatures dot products, one accumulator each: the order of summation is the same in every tile shape.
template <DType kType, int kTokens, int kFeatures>
void tile(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t t, int64_t o) {
  constexpr auto kSize = static_cast<int64_t>(tensor::size_of(kType));
  const int64_t in = x.cols;
  __m256 sums[kTokens][kFeatures];
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) sums[k][f] = _mm256_setzero_ps();
  }
  const std::byte* w = weight + o * in * kSize;
  int64_t i = 0;
  for (; i + 8 <= in; i += 8) {
    __m256 features[kFeatures];
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) features[f] = load_weights<kType>(w + (f * in + i) * kSize);
    CALLIOPE_UNROLL
    for (int k = 0; k < kTokens; ++k) {
      const __m256 token = _mm256_loadu_ps(x.row(t + k) + i);
      CALLIOPE_UNROLL
      for (int f = 0; f < kFeatures; ++f) sums[k][f] = _mm256_fmadd_ps(token, features[f], sums[k][f]);
    }
  }
  if (i < in) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) {
      const __m256 feature = load_weights_tail<kType>(w + (f * in + i) * kSize, in - i);
      CALLIOPE_UNROLL
      for (int k = 0; k < kTokens; ++k) sums[k][f] = _mm256_fmadd_ps(load_tail(x.row(t + k) + i, in - i), feature, sums[k][f]);
    }
  }
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) y.row(t + k)[o + f] = horizontal_sum(sums[k][f]);
  }
}

template <DType kType>
void slice(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t begin, int64_t end) {
  int64_t t = 0;
  for (; t + 4 <= x.rows; t += 4) {
    int64_t o = begin;
    for (; o + 3 <= end; o += 3) tile<kType, 4, 3>(x, weight, y, t, o);
    for (; o < end; ++o) tile<kType, 4, 1>(x, weight, y, t, o);
  }
  for (; t < x.rows; ++t) {
    int64_t o = begin;
    for (; o + 8 <= end; o += 8) tile<kType, 1, 8>(x, weight, y, t, o);
    for (; o < end; ++o) tile<kType, 1, 1>(x, weight, y, t, o);
  }
}

}  // namespace

void linear_slice_avx2(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
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
void linear_slice_avx2(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
  linear_slice_plain(x, weight, y, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
