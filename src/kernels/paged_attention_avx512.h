#pragma once

// Only for files of AVX-512: with BF16, bf16 pages take the products of pairs.
#if defined(__AVX512F__)
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/paged_attention_internal.h"
#include "kernels/unroll.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// Elements i.. of the lanes given, as f32; zero elsewhere. q8_0 without its scale.
template <DType kType>
CALLIOPE_INLINE __m512 load(const std::byte* from, int64_t i, __mmask16 lanes) {
  if constexpr (kType == DType::f32) return _mm512_maskz_loadu_ps(lanes, reinterpret_cast<const float*>(from) + i);
  if constexpr (kType == DType::q8_0) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, from + i)));
  const __m256i bits = _mm256_maskz_loadu_epi16(lanes, reinterpret_cast<const uint16_t*>(from) + i);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

// Of sixteen pairs of bf16 from pair i on, of the lanes given, the first or the second of each.
template <int kHalf>
CALLIOPE_INLINE __m512 half_of(const std::byte* from, int64_t i, __mmask16 lanes) {
  const __m512i pairs = _mm512_maskz_loadu_epi32(lanes, reinterpret_cast<const uint32_t*>(from) + i);
  return _mm512_castsi512_ps(kHalf == 0 ? _mm512_slli_epi32(pairs, 16) : _mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
}

#if defined(__AVX512BF16__)
constexpr bool kHasDot = true;
// sums[j] of every query i += pairs[j] * the pair of query i.
template <int kQueries, int kVectors>
CALLIOPE_INLINE void add_pairs(__m512 (&sums)[kQueries][kVectors], const __m512i (&pairs)[kVectors], const uint32_t* of_queries, int64_t apart) {
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    const auto pair = (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(of_queries[i * apart]));
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)pairs[j], pair);
  }
}
// 32 floats as bf16, in order.
CALLIOPE_INLINE __m512i rounded(const float* from) {
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
}
#else
constexpr bool kHasDot = false;
#endif

// Up to eight queries of one key/value head and what they have summed so far: page by page with a running maximum. Every
// lane and every sum has one order, whatever queries come together: a key outside a query's own gets the weight zero.
template <DType kType, int kQueries>
struct Tile {
  static constexpr bool kDot = kHasDot && kType == DType::bf16;  // products of pairs
  int64_t dim = 0, tokens = 0;
  const float* q = nullptr;           // [dim, kQueries]
  const uint32_t* q_pairs = nullptr;  // kDot: [(dim + 1) / 2, kQueries]
  float* out[kQueries] = {};
  int64_t keys[kQueries] = {};
  float top[kQueries] = {}, shrink[kQueries] = {};
  __m512 totals[kQueries];
  alignas(64) float scores[kQueries][PageLayout::kMaxTokens];
  alignas(64) uint32_t weight_pairs[kQueries][PageLayout::kMaxTokens / 2];  // kDot

  // Scores of the keys [s, s + 16 kVectors) of a page.
  template <int kVectors>
  void score(const std::byte* page_keys, int64_t s, float scale) {
    __m512 sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_setzero_ps();
    }
#if defined(__AVX512BF16__)
    if constexpr (kDot) {
      for (int64_t p = 0; p < (dim + 1) / 2; ++p) {
        __m512i pairs[kVectors];
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) pairs[j] = _mm512_loadu_si512(reinterpret_cast<const uint32_t*>(page_keys) + p * tokens + s + 16 * j);
        add_pairs(sums, pairs, q_pairs + p * kQueries, 1);
      }
    }
#endif
    for (int64_t from = 0, to = 0; !kDot && from < dim; from = to) {
      to = kType == DType::q8_0 ? std::min(from + PageLayout::kBlock, dim) : dim;
      __m512 scales[kVectors];
      if constexpr (kType == DType::q8_0) {
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          scales[j] = load<DType::bf16>(page_keys + dim * tokens, from / PageLayout::kBlock * tokens + s + 16 * j, 0xffff);
        }
      }
      const auto add = [&](int64_t d, auto load_keys) __attribute__((always_inline)) {
        __m512 key[kVectors];
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          key[j] = load_keys(s + 16 * j);
          if constexpr (kType == DType::q8_0) key[j] = _mm512_mul_ps(key[j], scales[j]);
        }
        CALLIOPE_UNROLL
        for (int i = 0; i < kQueries; ++i) {
          const __m512 query = _mm512_set1_ps(q[d * kQueries + i]);
          CALLIOPE_UNROLL
          for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_fmadd_ps(query, key[j], sums[i][j]);
        }
      };
      for (int64_t d = from; d < to; ++d) {
        if constexpr (kType == DType::bf16) {
          add(d, [&](int64_t at) { return half_of<0>(page_keys, d / 2 * tokens + at, 0xffff); });
          if (++d < to) add(d, [&](int64_t at) { return half_of<1>(page_keys, d / 2 * tokens + at, 0xffff); });
        } else {
          add(d, [&](int64_t at) { return load<kType>(page_keys, d * tokens + at, 0xffff); });
        }
      }
    }
    const __m512 factor = _mm512_set1_ps(scale);
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) _mm512_store_ps(scores[i] + s + 16 * j, _mm512_mul_ps(sums[i][j], factor));
    }
  }

  // Scores of query i become weights; `count` of the page's `seen` keys are its own.
  void weigh(int i, int64_t count, int64_t seen) {
    shrink[i] = 1.0f;
    if (count > 0) {
      __m512 most = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
      for (int64_t s = 0; s < count; s += 16) {
        most = _mm512_mask_max_ps(most, first_lanes_avx512(count - s), most, _mm512_load_ps(scores[i] + s));
      }
      const float larger = std::max(top[i], _mm512_reduce_max_ps(most));
      shrink[i] = _mm512_cvtss_f32(exp_avx512(_mm512_set1_ps(top[i] - larger)));
      top[i] = larger;
      totals[i] = _mm512_mul_ps(totals[i], _mm512_set1_ps(shrink[i]));
    }
    for (int64_t s = 0; s < seen; s += 16) {
      const __m512 e = exp_avx512(_mm512_sub_ps(_mm512_load_ps(scores[i] + s), _mm512_set1_ps(top[i])));
      const __m512 weight = _mm512_maskz_mov_ps(first_lanes_avx512(count - s), e);
      totals[i] = _mm512_add_ps(totals[i], weight);
      _mm512_store_ps(scores[i] + s, weight);
    }
#if defined(__AVX512BF16__)
    if constexpr (kDot) {
      if (seen % 32 > 0 && seen % 32 <= 16) _mm512_store_ps(scores[i] + seen / 32 * 32 + 16, _mm512_setzero_ps());
      for (int64_t s = 0; s < seen; s += 32) _mm512_store_si512(weight_pairs[i] + s / 2, rounded(scores[i] + s));
    }
#endif
  }

  // The scale of a token's value from dimension d on.
  CALLIOPE_INLINE __m512 scale_of(const std::byte* page_values, int64_t s, int64_t d) const {
    const auto* scales = reinterpret_cast<const uint16_t*>(page_values + dim * tokens);
    return _mm512_set1_ps(tensor::bf16_to_f32(scales[d / PageLayout::kBlock * tokens + s]));
  }

  // out[d, d + 16 kVectors) of every query: shrunk, and the page's weighted values added. The last vector may be cut.
  template <int kVectors>
  void blend(const std::byte* page_values, int64_t d, int64_t seen) {
    __mmask16 lanes[kVectors];
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) lanes[j] = first_lanes_avx512(dim - d - 16 * j);
    __m512 sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        sums[i][j] = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes[j], out[i] + d + 16 * j), _mm512_set1_ps(shrink[i]));
      }
    }
#if defined(__AVX512BF16__)
    if constexpr (kDot) {
      for (int64_t p = 0; p < (seen + 1) / 2; ++p) {
        __m512i pairs[kVectors];
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j)
          pairs[j] = _mm512_maskz_loadu_epi32(lanes[j], reinterpret_cast<const uint32_t*>(page_values) + p * dim + d + 16 * j);
        add_pairs(sums, pairs, weight_pairs[0] + p, PageLayout::kMaxTokens / 2);
      }
    }
#endif
    const auto add = [&](int64_t s, auto load_values) __attribute__((always_inline)) {
      __m512 values[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        values[j] = load_values(d + 16 * j, lanes[j]);
        if constexpr (kType == DType::q8_0) values[j] = _mm512_mul_ps(values[j], scale_of(page_values, s, d + 16 * j));
      }
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const __m512 weight = _mm512_set1_ps(scores[i][s]);
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_fmadd_ps(weight, values[j], sums[i][j]);
      }
    };
    for (int64_t s = 0; !kDot && s < seen; ++s) {
      if constexpr (kType == DType::bf16) {
        const int64_t row = s / 2 * dim;
        add(s, [&](int64_t at, __mmask16 own) { return half_of<0>(page_values, row + at, own); });
        if (++s < seen) add(s, [&](int64_t at, __mmask16 own) { return half_of<1>(page_values, row + at, own); });
      } else {
        add(s, [&](int64_t at, __mmask16 own) { return load<kType>(page_values, s * dim + at, own); });
      }
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) _mm512_mask_storeu_ps(out[i] + d + 16 * j, lanes[j], sums[i][j]);
    }
  }

  // `seen` keys of a page.
  void take(const std::byte* page_keys, const std::byte* page_values, int64_t first, int64_t seen, float scale) {
    constexpr int kWide = kQueries <= 4 ? 4 : 2;
    int64_t s = 0;
    for (; s + 16 * kWide <= tokens && s < seen; s += 16 * kWide) score<kWide>(page_keys, s, scale);
    for (; s < seen; s += 16) score<1>(page_keys, s, scale);
    for (int i = 0; i < kQueries; ++i) weigh(i, std::clamp<int64_t>(keys[i] - first, 0, seen), seen);
    int64_t d = 0;
    for (; d + 16 * (kWide - 1) < dim; d += 16 * kWide) blend<kWide>(page_values, d, seen);
    for (; d < dim; d += 16) blend<1>(page_values, d, seen);
  }
};

// Of the kQueries queries of every dimension, pairs of dimensions as bf16.
CALLIOPE_INLINE void pairs_of(const std::vector<float>& queries, int64_t dim, int64_t count, std::vector<uint32_t>& pairs) {
  pairs.resize(static_cast<size_t>((dim + 1) / 2 * count));
  for (int64_t d = 0; d < dim; d += 2) {
    for (int64_t i = 0; i < count; ++i) {
      const float* at = queries.data() + d * count + i;
      pairs[static_cast<size_t>(d / 2 * count + i)] = tensor::bf16_pair(at[0], d + 1 < dim ? at[count] : 0);
    }
  }
}

template <DType kType, int kQueries>
void attend(const PagedCall& call, int64_t kv, int64_t first_query) {
  thread_local std::vector<float> queries;
  thread_local std::vector<uint32_t> pairs;
  Tile<kType, kQueries> tile;
  tile.dim = call.shape.head_dim;
  tile.tokens = call.layout.tokens;
  queries.resize(static_cast<size_t>(tile.dim * kQueries));
  tile.q = queries.data();
  int64_t longest = 0;
  for (int i = 0; i < kQueries; ++i) {
    const int64_t row = (first_query + i) / call.group(), head = kv * call.group() + (first_query + i) % call.group();
    const float* q = call.q.row(row) + head * tile.dim;
    for (int64_t d = 0; d < tile.dim; ++d) queries[static_cast<size_t>(d * kQueries + i)] = q[d];
    tile.out[i] = call.out.row(row) + head * tile.dim;
    tile.keys[i] = call.keys(row);
    tile.top[i] = -std::numeric_limits<float>::infinity();
    tile.totals[i] = _mm512_setzero_ps();
    std::fill_n(tile.out[i], tile.dim, 0.0f);
    longest = std::max(longest, tile.keys[i]);
  }
  if constexpr (tile.kDot) pairs_of(queries, tile.dim, kQueries, pairs);
  tile.q_pairs = pairs.data();
  for (int64_t first = 0; first < longest; first += tile.tokens) {
    const int64_t page = first / tile.tokens, seen = std::min(tile.tokens, longest - first);
    tile.take(call.page_keys(page, kv), call.page_values(page, kv), first, seen, call.shape.scale);
  }
  for (int i = 0; i < kQueries; ++i) {
    const float scale = 1.0f / sum_avx512(tile.totals[i]);
    for (int64_t d = 0; d < tile.dim; ++d) tile.out[i][d] *= scale;
  }
}

template <DType kType>
void attend_all(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  for (; begin + 8 <= end; begin += 8) attend<kType, 8>(call, kv, begin);
  switch (end - begin) {
    case 7: return attend<kType, 7>(call, kv, begin);
    case 6: return attend<kType, 6>(call, kv, begin);
    case 5: return attend<kType, 5>(call, kv, begin);
    case 4: return attend<kType, 4>(call, kv, begin);
    case 3: return attend<kType, 3>(call, kv, begin);
    case 2: return attend<kType, 2>(call, kv, begin);
    case 1: return attend<kType, 1>(call, kv, begin);
    default: return;
  }
}

}  // namespace
}  // namespace calliope::kernels::detail
#endif
