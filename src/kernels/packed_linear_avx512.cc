#include "kernels/packed_internal.h"

#if defined(__AVX512F__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#include <algorithm>
#include <bit>

#include "kernels/unroll.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// 32 inputs in two vectors: quants, scale and sums as packed_internal.h says.
bool quantize_block(const float* x, DType type, int64_t tokens, int32_t* to) {
  const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  const int32_t top_bits = _mm512_reduce_max_epi32(_mm512_max_epi32(
      _mm512_and_si512(_mm512_castps_si512(low), magnitude), _mm512_and_si512(_mm512_castps_si512(high), magnitude)));
  const BlockScale block = block_scale(type, static_cast<uint32_t>(top_bits));
  const __m512 inverse = _mm512_set1_ps(block.inverse);
  __m512i a = _mm512_setzero_si512(), b = a;
  if (block.used) {
    a = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
    b = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
  }
  alignas(32) int32_t steps[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(steps), _mm512_cvtepi32_epi8(a));
  _mm_store_si128(reinterpret_cast<__m128i*>(steps + 4), _mm512_cvtepi32_epi8(b));
  for (int64_t step = 0; step < 8; ++step) to[step * tokens] = steps[step];
  to[8 * tokens] = block.word;
  const int32_t offset = offset_of(type);
  if (type == DType::q6_k) {
    to[9 * tokens] = -offset * _mm512_reduce_add_epi32(a);
    to[10 * tokens] = -offset * _mm512_reduce_add_epi32(b);
    return block.finite;
  }
  const int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
  to[9 * tokens] = -offset * sum;
  to[10 * tokens] = std::bit_cast<int32_t>(-(block.scale * static_cast<float>(sum)));
  return block.finite;
}

// The largest of each of eight vectors, in order.
__m256i largest(const __m512i* v) {
  __m256i half[8], pair[4];
  CALLIOPE_UNROLL
  for (int t = 0; t < 8; ++t)
    half[t] = _mm256_max_epi32(_mm512_castsi512_si256(v[t]), _mm512_extracti64x4_epi64(v[t], 1));
  CALLIOPE_UNROLL
  for (int i = 0; i < 4; ++i) {
    pair[i] = _mm256_max_epi32(_mm256_unpacklo_epi32(half[2 * i], half[2 * i + 1]),
                               _mm256_unpackhi_epi32(half[2 * i], half[2 * i + 1]));
  }
  const __m256i low =
      _mm256_max_epi32(_mm256_unpacklo_epi64(pair[0], pair[1]), _mm256_unpackhi_epi64(pair[0], pair[1]));
  const __m256i high =
      _mm256_max_epi32(_mm256_unpacklo_epi64(pair[2], pair[3]), _mm256_unpackhi_epi64(pair[2], pair[3]));
  return _mm256_max_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

// Tokens 0, 2 and 1, 3 in, packed to bytes; out: steps 0..3 and 4..7, for each the four tokens.
void by_steps(__m512i even, __m512i odd, __m512i& first, __m512i& second) {
  const __m512i low = _mm512_unpacklo_epi32(even, odd), high = _mm512_unpackhi_epi32(even, odd);
  first = _mm512_unpacklo_epi64(low, high);
  second = _mm512_unpackhi_epi64(low, high);
}

// quantize_block of up to eight rows, a lane each; lanes beyond `tokens` repeat the last row and are not stored.
// Returns which are not finite.
uint32_t quantize_rows(const float* const* rows, DType type, int64_t tokens, int32_t* to) {
  const auto lanes = static_cast<__mmask8>((1 << tokens) - 1);
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i tops[8];
  CALLIOPE_UNROLL
  for (int t = 0; t < 8; ++t) {
    tops[t] = _mm512_max_epi32(_mm512_and_si512(_mm512_loadu_si512(rows[t]), magnitude),
                               _mm512_and_si512(_mm512_loadu_si512(rows[t] + 16), magnitude));
  }
  const __m256i top_bits = largest(tops);
  const __mmask8 finite = _mm256_cmplt_epi32_mask(top_bits, _mm256_set1_epi32(std::bit_cast<int32_t>(kLargest)));
  const __mmask8 used =
      finite & _mm256_cmpge_epi32_mask(top_bits, _mm256_set1_epi32(std::bit_cast<int32_t>(kSmallest)));
  alignas(32) float inverse[8];
  __m256 scale = _mm256_setzero_ps();  // of K types
  __m256i word;
  if (is_k_type(type)) {
    const __m256 top = _mm256_castsi256_ps(top_bits), most = _mm256_set1_ps(127.0f);
    scale = _mm256_maskz_div_ps(used, top, most);
    word = _mm256_castps_si256(scale);
    _mm256_store_ps(inverse, _mm256_maskz_div_ps(used, most, top));
  } else {
    const __m256i up =
        _mm256_and_si256(_mm256_add_epi32(top_bits, _mm256_set1_epi32(kRoundUp)), _mm256_set1_epi32(kExponent));
    word = _mm256_maskz_sub_epi32(used, up, _mm256_set1_epi32(kExponentOf64));
    _mm256_store_ps(inverse, _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(kExponentOfOne), word)));
  }

  __m512i shorts[8];
  CALLIOPE_UNROLL
  for (int t = 0; t < 8; ++t) {
    const __mmask16 all = used >> t & 1 ? 0xffff : 0;
    const __m512 factor = _mm512_set1_ps(inverse[t]);
    shorts[t] = _mm512_packs_epi32(_mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(_mm512_loadu_ps(rows[t]), factor)),
                                   _mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(_mm512_loadu_ps(rows[t] + 16), factor)));
  }
  __m512i first[2], second[2];
  CALLIOPE_UNROLL
  for (int i = 0; i < 2; ++i) {
    by_steps(_mm512_packs_epi16(shorts[4 * i], shorts[4 * i + 2]),
             _mm512_packs_epi16(shorts[4 * i + 1], shorts[4 * i + 3]), first[i], second[i]);
  }
  const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  const __m512i steps[4] = {
      _mm512_permutex2var_epi64(first[0], front, first[1]), _mm512_permutex2var_epi64(first[0], back, first[1]),
      _mm512_permutex2var_epi64(second[0], front, second[1]), _mm512_permutex2var_epi64(second[0], back, second[1])};
  __m256i sums[2];
  CALLIOPE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const __m512i ones = _mm512_set1_epi8(1);
    const __m512i two =
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, steps[2 * i]), ones, steps[2 * i + 1]);
    sums[i] = _mm256_add_epi32(_mm512_castsi512_si256(two), _mm512_extracti64x4_epi64(two, 1));
  }
  CALLIOPE_UNROLL
  for (int i = 0; i < 4; ++i) {
    _mm256_mask_storeu_epi32(to + 2 * i * tokens, lanes, _mm512_castsi512_si256(steps[i]));
    _mm256_mask_storeu_epi32(to + (2 * i + 1) * tokens, lanes, _mm512_extracti64x4_epi64(steps[i], 1));
  }
  _mm256_mask_storeu_epi32(to + 8 * tokens, lanes, word);
  const __m256i whole = _mm256_add_epi32(sums[0], sums[1]), offset = _mm256_set1_epi32(-offset_of(type));
  const __m256i negated =
      _mm256_castps_si256(_mm256_xor_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(whole)), _mm256_set1_ps(-0.0f)));
  const bool halves = type == DType::q6_k;
  _mm256_mask_storeu_epi32(to + 9 * tokens, lanes, _mm256_mullo_epi32(offset, halves ? sums[0] : whole));
  _mm256_mask_storeu_epi32(to + 10 * tokens, lanes, halves ? _mm256_mullo_epi32(offset, sums[1]) : negated);
  return static_cast<uint32_t>(lanes & ~finite);
}

uint32_t quantize(tensor::ConstRows x, DType type, int32_t* tile) {
  const int64_t tokens = x.rows;
  uint32_t infinite = 0;
  const float* rows[8];
  for (int64_t t = 0; t < 8; ++t) rows[t] = x.row(std::min(t, tokens - 1));
  for (int64_t b = 0; b < x.cols / 32; ++b, tile += kTileWords * tokens) {
    if (tokens == 1) {
      infinite |= static_cast<uint32_t>(!quantize_block(rows[0] + 32 * b, type, 1, tile));
      continue;
    }
    const float* blocks[8];
    for (int t = 0; t < 8; ++t) blocks[t] = rows[t] + 32 * b;
    infinite |= quantize_rows(blocks, type, tokens, tile);
  }
  return infinite;
}

__m512 halves(const std::byte* p) { return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p))); }

__m512 small(const std::byte* p, bool is_signed) {
  const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_cvtepi32_ps(is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes));
}

__m512 each(const int32_t* p) { return _mm512_castsi512_ps(_mm512_set1_epi32(*p)); }

// Far enough that memory answers in time. Beyond a panel lies the next one; past the last, fetching does nothing.
constexpr int64_t kAhead = 4096;

template <size_t kBytes>
CALLIOPE_INLINE void fetch(const std::byte* from) {
  CALLIOPE_UNROLL
  for (size_t i = 0; i < kBytes; i += 64) _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T0);
}

// sums += stored weights of steps [kFirst, kLast) times four quants of every token; a lane is an output feature.
template <DType kType, int kTokens, int kFirst, int kLast>
CALLIOPE_INLINE void add_steps(const std::byte* quants, const int32_t* tile, __m512i* sums) {
  const auto step = [&](__m512i weights, int s) __attribute__((always_inline)) {
    CALLIOPE_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      sums[t] = _mm512_dpbusd_epi32(sums[t], weights, _mm512_set1_epi32(tile[s * kTokens + t]));
    }
  };
  if constexpr (quant_bytes(kType) == 512) {
    CALLIOPE_UNROLL
    for (int s = kFirst; s < kLast; ++s) step(_mm512_load_si512(quants + 64 * s), s);
  } else {
    const __m512i mask = _mm512_set1_epi8(15);
    CALLIOPE_UNROLL
    for (int s = 0; s < 4; ++s) {
      const __m512i pair = _mm512_load_si512(quants + 64 * s);
      step(_mm512_and_si512(pair, mask), s);
      step(_mm512_and_si512(_mm512_srli_epi16(pair, 4), mask), s + 4);
    }
  }
}

template <DType kType, int kTokens>
void multiply_tile(const PanelCall& call) {
  constexpr PanelLayout layout{kType};
  const std::byte* panel = call.w.panel(call.panel);
  const auto lanes = static_cast<__mmask16>((1 << call.to.cols) - 1);
  __m512 y[kTokens];
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    y[t] = call.begin == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(lanes, call.from.row(t));
  }
  const int32_t* tile = call.tile + call.begin * kTileWords * kTokens;
  for (int64_t b = call.begin; b < call.end; ++b, tile += kTileWords * kTokens) {
    const std::byte* quants = panel + layout.quants(b);
    if (call.ahead) fetch<quant_bytes(kType)>(quants + kAhead);
    const __m512 d = halves(panel + layout.scales(b));
    __m512i sums[kTokens];
    const auto start = [&](int word) __attribute__((always_inline)) {
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_set1_epi32(tile[word * kTokens + t]);
    };
    const auto finish = [&](__m512 scale) __attribute__((always_inline)) {
      CALLIOPE_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const int32_t* word = tile + 8 * kTokens + t;
        const __m512 both =
            is_k_type(kType)
                ? _mm512_mul_ps(scale, each(word))
                : _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(scale), _mm512_set1_epi32(*word)));
        y[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), both, y[t]);
      }
    };
    start(9);
    if constexpr (kType == DType::q6_k) {
      const std::byte* scales = panel + layout.small_scales(b);
      add_steps<kType, kTokens, 0, 4>(quants, tile, sums);
      finish(_mm512_mul_ps(d, small(scales, true)));
      start(10);
      add_steps<kType, kTokens, 4, 8>(quants, tile, sums);
      finish(_mm512_mul_ps(d, small(scales + 16, true)));
    } else {
      add_steps<kType, kTokens, 0, 8>(quants, tile, sums);
      if constexpr (is_k_type(kType)) {
        const std::byte* scales = panel + layout.small_scales(b);
        finish(_mm512_mul_ps(d, small(scales, false)));
        const __m512 mins = _mm512_mul_ps(halves(panel + layout.scales(b) + 32), small(scales + 128, false));
        CALLIOPE_UNROLL
        for (int t = 0; t < kTokens; ++t) y[t] = _mm512_fmadd_ps(mins, each(tile + 10 * kTokens + t), y[t]);
      } else {
        finish(d);
      }
    }
  }
  CALLIOPE_UNROLL
  for (int t = 0; t < kTokens; ++t) _mm512_mask_storeu_ps(call.to.row(t), lanes, y[t]);
}

template <DType kType>
void multiply_type(const PanelCall& call) {
  static_assert(kTileTokens == 8);
  switch (call.to.rows) {
    case 1: return multiply_tile<kType, 1>(call);
    case 2: return multiply_tile<kType, 2>(call);
    case 3: return multiply_tile<kType, 3>(call);
    case 4: return multiply_tile<kType, 4>(call);
    case 5: return multiply_tile<kType, 5>(call);
    case 6: return multiply_tile<kType, 6>(call);
    case 7: return multiply_tile<kType, 7>(call);
    default: return multiply_tile<kType, 8>(call);
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

const PackedKernels kPackedAvx512 = {quantize, multiply};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const PackedKernels kPackedAvx512 = kPackedPlain;
}  // namespace calliope::kernels::detail
#endif
