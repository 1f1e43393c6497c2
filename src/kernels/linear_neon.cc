#include "kernels/linear_internal.h"

#if defined(__aarch64__)
#include <algorithm>
#include <cstring>

#include "kernels/unroll.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// Four weights, or the first `count` of them with zeros behind, as f32.
template <DType kType>
float32x4_t load_weights(const std::byte* p) {
  if constexpr (kType == DType::f32) return vld1q_f32(reinterpret_cast<const float*>(p));
  const uint16x4_t bits = vld1_u16(reinterpret_cast<const uint16_t*>(p));
  if constexpr (kType == DType::f16) return vcvt_f32_f16(vreinterpret_f16_u16(bits));
  return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}

template <DType kType>
float32x4_t load_weights_tail(const std::byte* p, int64_t count) {
  alignas(16) std::byte padded[16] = {};
  std::memcpy(padded, p, static_cast<size_t>(count) * tensor::size_of(kType));
  return load_weights<kType>(padded);
}

// kTokens x kFeatures dot products, one accumulator each: the order of summation is the same in every tile shape.
template <DType kType, int kTokens, int kFeatures>
void tile(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t t, int64_t o) {
  constexpr auto kSize = static_cast<int64_t>(tensor::size_of(kType));
  const int64_t in = x.cols;
  float32x4_t sums[kTokens][kFeatures];
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) sums[k][f] = vdupq_n_f32(0.0f);
  }
  const std::byte* w = weight + o * in * kSize;
  int64_t i = 0;
  for (; i + 4 <= in; i += 4) {
    float32x4_t features[kFeatures];
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) features[f] = load_weights<kType>(w + (f * in + i) * kSize);
    CALLIOPE_UNROLL
    for (int k = 0; k < kTokens; ++k) {
      const float32x4_t token = vld1q_f32(x.row(t + k) + i);
      CALLIOPE_UNROLL
      for (int f = 0; f < kFeatures; ++f) sums[k][f] = vfmaq_f32(sums[k][f], token, features[f]);
    }
  }
  if (i < in) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) {
      const float32x4_t feature = load_weights_tail<kType>(w + (f * in + i) * kSize, in - i);
      CALLIOPE_UNROLL
      for (int k = 0; k < kTokens; ++k) sums[k][f] = vfmaq_f32(sums[k][f], load_first_neon(x.row(t + k) + i, in - i), feature);
    }
  }
  CALLIOPE_UNROLL
  for (int k = 0; k < kTokens; ++k) {
    CALLIOPE_UNROLL
    for (int f = 0; f < kFeatures; ++f) y.row(t + k)[o + f] = sum_neon(sums[k][f]);
  }
}

template <DType kType>
void slice(tensor::ConstRows x, const std::byte* weight, tensor::Rows y, int64_t begin, int64_t end) {
  int64_t t = 0;
  for (; t + 4 <= x.rows; t += 4) {
    int64_t o = begin;
    for (; o + 4 <= end; o += 4) tile<kType, 4, 4>(x, weight, y, t, o);
    for (; o < end; ++o) tile<kType, 4, 1>(x, weight, y, t, o);
  }
  for (; t < x.rows; ++t) {
    int64_t o = begin;
    for (; o + 8 <= end; o += 8) tile<kType, 1, 8>(x, weight, y, t, o);
    for (; o < end; ++o) tile<kType, 1, 1>(x, weight, y, t, o);
  }
}

}  // namespace

void linear_slice_neon(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
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
void linear_slice_neon(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
  linear_slice_plain(x, weight, y, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
