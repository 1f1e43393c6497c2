#include "kernels/paged_attention_internal.h"

#if defined(__AVX2__)
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

template <DType kType>
constexpr size_t kSize = kType == DType::q8_0 ? 1 : tensor::size_of(kType);

// Element i and the seven after it, as f32; q8_0 without its scale.
template <DType kType>
__m256 load(const std::byte* from, int64_t i) {
  if constexpr (kType == DType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from) + i);
  if constexpr (kType == DType::q8_0) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i))));
  }
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(reinterpret_cast<const uint16_t*>(from) + i));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

// Element i and the `count` - 1 < 7 after it, zeros behind.
template <DType kType>
__m256 load_first(const std::byte* from, int64_t i, int64_t count) {
  alignas(32) std::byte padded[32] = {};
  std::memcpy(padded, from + static_cast<size_t>(i) * kSize<kType>, static_cast<size_t>(count) * kSize<kType>);
  return load<kType>(padded, 0);
}

// Of eight pairs of bf16 from pair i on, the first or the second of each.
template <int kHalf>
__m256 half_of(const std::byte* from, int64_t i) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(reinterpret_cast<const uint32_t*>(from) + i));
  return _mm256_castsi256_ps(kHalf == 0 ? _mm256_slli_epi32(pairs, 16) : _mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}

// Of `count` pairs, at most eight; zeros behind.
template <int kHalf>
__m256 first_halves(const std::byte* from, int64_t i, int64_t count) {
  if (count == 8) return half_of<kHalf>(from, i);
  alignas(32) std::byte padded[32] = {};
  std::memcpy(padded, from + 4 * i, static_cast<size_t>(4 * count));
  return half_of<kHalf>(padded, 0);
}

// Up to four queries of one key/value head and what they have summed so far: page by page with a running maximum. Every
// lane and every sum has one order, whatever queries come together: a key outside a query's own gets the weight zero.
template <DType kType, int kQueries>
struct Tile {
  int64_t dim = 0, tokens = 0;
  const float* q[kQueries] = {};
  float* out[kQueries] = {};
  int64_t keys[kQueries] = {};
  float top[kQueries] = {}, shrink[kQueries] = {};
  __m256 totals[kQueries];
  alignas(32) float scores[kQueries][PageLayout::kMaxTokens];

  // Scores of the keys [s, s + 8 kVectors) of a page.
  template <int kVectors>
  void score(const std::byte* page_keys, int64_t s, float scale) {
    __m256 sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm256_setzero_ps();
    }
    for (int64_t from = 0, to = 0; from < dim; from = to) {
      to = kType == DType::q8_0 ? std::min(from + PageLayout::kBlock, dim) : dim;
      __m256 scales[kVectors];
      if constexpr (kType == DType::q8_0) {
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          scales[j] = load<DType::bf16>(page_keys + dim * tokens, from / PageLayout::kBlock * tokens + s + 8 * j);
        }
      }
      const auto add = [&](int64_t d, auto load_keys) __attribute__((always_inline)) {
        __m256 key[kVectors];
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          key[j] = load_keys(s + 8 * j);
          if constexpr (kType == DType::q8_0) key[j] = _mm256_mul_ps(key[j], scales[j]);
        }
        CALLIOPE_UNROLL
        for (int i = 0; i < kQueries; ++i) {
          const __m256 query = _mm256_broadcast_ss(q[i] + d);
          CALLIOPE_UNROLL
          for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm256_fmadd_ps(query, key[j], sums[i][j]);
        }
      };
      for (int64_t d = from; d < to; ++d) {
        if constexpr (kType == DType::bf16) {
          add(d, [&](int64_t at) { return half_of<0>(page_keys, d / 2 * tokens + at); });
          if (++d < to) add(d, [&](int64_t at) { return half_of<1>(page_keys, d / 2 * tokens + at); });
        } else {
          add(d, [&](int64_t at) { return load<kType>(page_keys, d * tokens + at); });
        }
      }
    }
    const __m256 factor = _mm256_set1_ps(scale);
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) _mm256_store_ps(scores[i] + s + 8 * j, _mm256_mul_ps(sums[i][j], factor));
    }
  }

  // Scores of query i become weights; `count` of the page's `seen` keys are its own.
  void weigh(int i, int64_t count, int64_t seen) {
    const __m256 lowest = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
    __m256 most = lowest;
    for (int64_t s = 0; s < count; s += 8) {
      const __m256 own = _mm256_castsi256_ps(first_lanes(count - s));
      most = _mm256_max_ps(most, _mm256_blendv_ps(lowest, _mm256_load_ps(scores[i] + s), own));
    }
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, most);
    const float larger = std::max(top[i], *std::max_element(lanes, lanes + 8));
    alignas(32) float change[8] = {top[i] - larger};
    _mm256_store_ps(change, exp_avx2(_mm256_load_ps(change)));
    shrink[i] = count > 0 ? change[0] : 1.0f;
    if (count > 0) top[i] = larger;
    totals[i] = _mm256_mul_ps(totals[i], _mm256_set1_ps(shrink[i]));
    for (int64_t s = 0; s < seen; s += 8) {
      const __m256 own = _mm256_castsi256_ps(first_lanes(count - s));
      const __m256 e = exp_avx2(_mm256_sub_ps(_mm256_load_ps(scores[i] + s), _mm256_set1_ps(top[i])));
      const __m256 weight = _mm256_and_ps(e, own);
      totals[i] = _mm256_add_ps(totals[i], weight);
      _mm256_store_ps(scores[i] + s, weight);
    }
  }

  // The scale of a token's value from dimension d on.
  __m256 scale_of(const std::byte* page_values, int64_t s, int64_t d) const {
    const auto* scales = reinterpret_cast<const uint16_t*>(page_values + dim * tokens);
    return _mm256_set1_ps(tensor::bf16_to_f32(scales[d / PageLayout::kBlock * tokens + s]));
  }

  // out[d, d + 8 kVectors) of every query: shrunk, and the page's weighted values added. The last vector may be cut.
  template <int kVectors>
  void blend(const std::byte* page_values, int64_t d, int64_t seen) {
    const int64_t last = std::min<int64_t>(8, dim - d - 8 * (kVectors - 1));
    const __m256i mask = first_lanes(last);
    __m256 sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        const float* from = out[i] + d + 8 * j;
        const __m256 old = j + 1 < kVectors ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask);
        sums[i][j] = _mm256_mul_ps(old, _mm256_set1_ps(shrink[i]));
      }
    }
    const auto add = [&](int64_t s, auto load_values) __attribute__((always_inline)) {
      __m256 values[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        values[j] = load_values(d + 8 * j, j + 1 < kVectors ? 8 : last);
        if constexpr (kType == DType::q8_0) values[j] = _mm256_mul_ps(values[j], scale_of(page_values, s, d + 8 * j));
      }
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const __m256 weight = _mm256_broadcast_ss(scores[i] + s);
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm256_fmadd_ps(weight, values[j], sums[i][j]);
      }
    };
    for (int64_t s = 0; s < seen; ++s) {
      if constexpr (kType == DType::bf16) {
        const std::byte* pairs = page_values + static_cast<size_t>(s / 2 * dim) * sizeof(uint32_t);
        add(s, [&](int64_t at, int64_t count) { return first_halves<0>(pairs, at, count); });
        if (++s < seen) add(s, [&](int64_t at, int64_t count) { return first_halves<1>(pairs, at, count); });
      } else {
        add(s, [&](int64_t at, int64_t count) {
          return count == 8 ? load<kType>(page_values, s * dim + at) : load_first<kType>(page_values, s * dim + at, count);
        });
      }
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) _mm256_maskstore_ps(out[i] + d + 8 * j, j + 1 < kVectors ? first_lanes(8) : mask, sums[i][j]);
    }
  }

  // `seen` keys of a page.
  void take(const std::byte* page_keys, const std::byte* page_values, int64_t first, int64_t seen, float scale) {
    constexpr int kWide = kQueries == 1 && kType != DType::q8_0 ? 8 : kQueries <= 2 ? 4 : 2;
    int64_t s = 0;
    for (; s + 8 * kWide <= tokens && s < seen; s += 8 * kWide) score<kWide>(page_keys, s, scale);
    for (; s < seen; s += 16) score<2>(page_keys, s, scale);
    for (int i = 0; i < kQueries; ++i) weigh(i, std::clamp<int64_t>(keys[i] - first, 0, seen), seen);
    int64_t d = 0;
    for (; d + 8 < dim; d += 16) blend<2>(page_values, d, seen);
    if (d < dim) blend<1>(page_values, d, seen);
  }
};

template <DType kType, int kQueries>
void attend(const PagedCall& call, int64_t kv, int64_t first_query) {
  Tile<kType, kQueries> tile;
  tile.dim = call.shape.head_dim;
  tile.tokens = call.layout.tokens;
  int64_t longest = 0;
  for (int i = 0; i < kQueries; ++i) {
    const int64_t row = (first_query + i) / call.group(), head = kv * call.group() + (first_query + i) % call.group();
    tile.q[i] = call.q.row(row) + head * tile.dim;
    tile.out[i] = call.out.row(row) + head * tile.dim;
    tile.keys[i] = call.keys(row);
    tile.top[i] = -std::numeric_limits<float>::infinity();
    tile.totals[i] = _mm256_setzero_ps();
    std::fill_n(tile.out[i], tile.dim, 0.0f);
    longest = std::max(longest, tile.keys[i]);
  }
  for (int64_t first = 0; first < longest; first += tile.tokens) {
    const int64_t page = first / tile.tokens, seen = std::min(tile.tokens, longest - first);
    tile.take(call.page_keys(page, kv), call.page_values(page, kv), first, seen, call.shape.scale);
  }
  for (int i = 0; i < kQueries; ++i) {
    const float scale = 1.0f / sum_avx2(tile.totals[i]);
    for (int64_t d = 0; d < tile.dim; ++d) tile.out[i][d] *= scale;
  }
}

template <DType kType>
void attend_all(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  for (; begin + 4 <= end; begin += 4) attend<kType, 4>(call, kv, begin);
  switch (end - begin) {
    case 3: return attend<kType, 3>(call, kv, begin);
    case 2: return attend<kType, 2>(call, kv, begin);
    case 1: return attend<kType, 1>(call, kv, begin);
    default: return;
  }
}

}  // namespace

void paged_queries_avx2(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  if (call.layout.dtype == DType::bf16) return attend_all<DType::bf16>(call, kv, begin, end);
  if (call.layout.dtype == DType::q8_0) return attend_all<DType::q8_0>(call, kv, begin, end);
  attend_all<DType::f32>(call, kv, begin, end);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void paged_queries_avx2(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  paged_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
