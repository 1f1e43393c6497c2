#include "kernels/packed_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

int32_t sum_of(__m256i v) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

// 32 inputs in four vectors: quants, scale and sums as packed_internal.h says.
bool quantize_block(const float* x, DType type, int64_t tokens, int32_t* to) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i tops = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    tops = _mm256_max_epi32(tops, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + 8 * i)), magnitude));
  }
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(tops), _mm256_extracti128_si256(tops, 1));
  most = _mm_max_epi32(most, _mm_unpackhi_epi64(most, most));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 1));
  const BlockScale block = block_scale(type, static_cast<uint32_t>(_mm_cvtsi128_si32(most)));
  __m256i q[4] = {};
  if (block.used) {
    const __m256 inverse = _mm256_set1_ps(block.inverse);
    for (int i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
  }
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  alignas(32) int32_t steps[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(steps),
                     _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  for (int64_t step = 0; step < 8; ++step) to[step * tokens] = steps[step];
  to[8 * tokens] = block.word;
  const int32_t offset = offset_of(type);
  const int32_t first = sum_of(_mm256_add_epi32(q[0], q[1])), second = sum_of(_mm256_add_epi32(q[2], q[3]));
  if (type == DType::q6_k) {
    to[9 * tokens] = -offset * first;
    to[10 * tokens] = -offset * second;
    return block.finite;
  }
  to[9 * tokens] = -offset * (first + second);
  to[10 * tokens] = std::bit_cast<int32_t>(-(block.scale * static_cast<float>(first + second)));
  return block.finite;
}

uint32_t quantize(tensor::ConstRows x, DType type, int32_t* tile) {
  uint32_t infinite = 0;
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* row = x.row(t);
    bool finite = true;
    for (int64_t b = 0; b < x.cols / 32; ++b)
      finite &= quantize_block(row + 32 * b, type, x.rows, tile + b * kTileWords * x.rows + t);
    infinite |= static_cast<uint32_t>(!finite) << t;
  }
  return infinite;
}

__m256 halves(const std::byte* p) { return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p))); }

__m256 small(const std::byte* p, bool is_signed) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(is_signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
}

__m256 each(const int32_t* p) { return _mm256_broadcast_ss(reinterpret_cast<const float*>(p)); }

// Integer sums of steps [kFirst, kLast) for kTokens tokens and eight features, from `starts` on. `quants` are the
// eight features' own, `tile` the first token's.
template <DType kType, int kTokens, int kFirst, int kLast>
CALLIOPE_INLINE void dot_steps(const std::byte* quants, const int32_t* tile, int64_t stride, const int32_t* starts,
                               __m256i* sums) {
  const __m256i ones = _mm256_set1_epi16(1);
  const auto load = [&](int s) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(quants + 64 * s)); };
  const auto four = [&](int s, int t) { return _mm256_set1_epi32(tile[s * stride + t]); };
  if constexpr (quant_bytes(kType) == 256) {
    // Pairs of products of at most 2 * 15 * 127: eight of them fit 16 bits.
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i pairs[kTokens];
    CALLIOPE_UNROLL
    for (int t = 0; t < kTokens; ++t) pairs[t] = _mm256_setzero_si256();
    CALLIOPE_UNROLL
    for (int s = 0; s < 4; ++s) {
      const __m256i both = load(s);
      const __m256i low = _mm256_and_si256(both, mask), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        pairs[t] = _mm256_add_epi16(pairs[t], _mm256_maddubs_epi16(low, four(s, t)));
        pairs[t] = _mm256_add_epi16(pairs[t], _mm256_maddubs_epi16(high, four(s + 4, t)));
      }
    }
    CALLIOPE_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      sums[t] = _mm256_add_epi32(_mm256_set1_epi32(starts[t]), _mm256_madd_epi16(pairs[t], ones));
    }
    return;
  }
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t)
    sums[t] = kType == DType::q8_0 ? _mm256_setzero_si256() : _mm256_set1_epi32(starts[t]);
  CALLIOPE_UNROLL
  for (int s = kFirst; s < kLast; ++s) {
    const __m256i stored = load(s);
    // 255 * 127 * 2 would not fit 16 bits: Q8_0 multiplies magnitudes, and the tokens take the weights' signs.
    const __m256i weights = kType == DType::q8_0 ? _mm256_xor_si256(stored, _mm256_set1_epi8(-128)) : stored;
    const __m256i magnitudes = kType == DType::q8_0 ? _mm256_abs_epi8(weights) : stored;
    CALLIOPE_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const __m256i x = kType == DType::q8_0 ? _mm256_sign_epi8(four(s, t), weights) : four(s, t);
      sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitudes, x), ones));
    }
  }
}

// Eight features from 8 `half` on, kTokens tokens from t on.
template <DType kType, int kTokens>
void multiply_tile(const PanelCall& call, int64_t half, int64_t token) {
  constexpr PanelLayout layout{kType};
  const std::byte* panel = call.w.panel(call.panel);
  const int64_t stride = call.to.rows;
  const __m256i lanes = first_lanes(std::clamp<int64_t>(call.to.cols - 8 * half, 0, 8));
  __m256 y[kTokens];
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    y[t] = call.begin == 0 ? _mm256_setzero_ps() : _mm256_maskload_ps(call.from.row(token + t) + 8 * half, lanes);
  }
  const int32_t* tile = call.tile + call.begin * kTileWords * stride + token;
  for (int64_t b = call.begin; b < call.end; ++b, tile += kTileWords * stride) {
    const std::byte* quants = panel + layout.quants(b) + 32 * half;
    const __m256 d = halves(panel + layout.scales(b) + 16 * half);
    __m256i sums[kTokens];
    const auto finish = [&](__m256 scale) __attribute__((always_inline)) {
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const int32_t* word = tile + 8 * stride + t;
        const __m256 both =
            is_k_type(kType)
                ? _mm256_mul_ps(scale, each(word))
                : _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(scale), _mm256_set1_epi32(*word)));
        y[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t]), both, y[t]);
      }
    };
    if constexpr (kType == DType::q6_k) {
      const std::byte* scales = panel + layout.small_scales(b) + 8 * half;
      dot_steps<kType, kTokens, 0, 4>(quants, tile, stride, tile + 9 * stride, sums);
      finish(_mm256_mul_ps(d, small(scales, true)));
      dot_steps<kType, kTokens, 4, 8>(quants, tile, stride, tile + 10 * stride, sums);
      finish(_mm256_mul_ps(d, small(scales + 16, true)));
    } else {
      dot_steps<kType, kTokens, 0, 8>(quants, tile, stride, tile + 9 * stride, sums);
      if constexpr (is_k_type(kType)) {
        const std::byte* scales = panel + layout.small_scales(b) + 8 * half;
        finish(_mm256_mul_ps(d, small(scales, false)));
        const __m256 mins =
            _mm256_mul_ps(halves(panel + layout.scales(b) + 32 + 16 * half), small(scales + 128, false));
        CALLIOPE_UNROLL
        for (int t = 0; t < kTokens; ++t) y[t] = _mm256_fmadd_ps(mins, each(tile + 10 * stride + t), y[t]);
      } else {
        finish(d);
      }
    }
  }
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) _mm256_maskstore_ps(call.to.row(token + t) + 8 * half, lanes, y[t]);
}

template <DType kType>
void multiply_type(const PanelCall& call) {
  for (int64_t half = 0; half < 2; ++half) {
    if (8 * half >= call.to.cols) return;
    const int64_t tokens = call.to.rows;
    int64_t t = 0;
    for (; t + 4 <= tokens; t += 4) multiply_tile<kType, 4>(call, half, t);
    if (tokens - t >= 2) multiply_tile<kType, 2>(call, half, t), t += 2;
    if (t < tokens) multiply_tile<kType, 1>(call, half, t);
  }
}

void multiply(const PanelCall& call) {
  switch (call.w.type()) {
    case DType::q8_0: return multiply_type<DType::q8_0>(call);
    case DType::q4_0: return multiply_type<DType::q4_0>(call);
    case DType::q4_k: return multiply_type<DType::q4_k>(call);
    case DType::q5_k: return multiply_type<DType::q5_k>(call);
    default: return multiply_type<DType::q6_k>(call);
  }
}

}  // namespace

const PackedKernels kPackedAvx2 = {quantize, multiply};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const PackedKernels kPackedAvx2 = kPackedPlain;
}  // namespace calliope::kernels::detail
#endif
