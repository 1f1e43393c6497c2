#include "kernels/attention_internal.h"

#if defined(__AVX2__)
#include <algorithm>
#include <vector>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

// Up to four queries of one key/value head. Keys run over the union of their ranges; a key outside a query's own range
// gets the weight zero, which leaves that query's sums as they would be alone. Every sum has one fixed order, whatever
// queries come together.
struct Tile {
  const AttentionCall& call;
  int64_t kv = 0;
  int64_t count = 0;
  const float* queries[4];
  float* outs[4];
  KeyRange ranges[4];
  KeyRange all;
  std::vector<float>& scores;  // [count, all]

  float* row(int64_t q) const { return scores.data() + q * (all.end - all.begin); }
  const float* key(int64_t s) const { return call.k.row(s) + kv * call.shape.head_dim; }
  const float* value(int64_t s) const { return call.v.row(s) + kv * call.shape.head_dim; }
};

// The sums of eight vectors' lanes, ((0+1)+(2+3)) + ((4+5)+(6+7)) each.
__m256 sum_each(const __m256* v) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

// q . k for kQueries queries from `first` on and the `count` <= kKeys keys from s on, kQueries x kKeys = 8: eight lanes
// of partial sums over the head's dimensions.
template <int kQueries, int kKeys>
void dots(const Tile& tile, int64_t first, int64_t s, int64_t count) {
  static_assert(kQueries * kKeys == 8);
  const int64_t dim = tile.call.shape.head_dim;
  __m256 sums[8];
  const float* keys[kKeys];
  CALLIOPE_UNROLL
  for (int k = 0; k < kKeys; ++k) keys[k] = tile.key(s + std::min<int64_t>(k, count - 1));
  CALLIOPE_UNROLL
  for (int i = 0; i < 8; ++i) sums[i] = _mm256_setzero_ps();
  const auto step = [&](auto load) {
    __m256 q[kQueries];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) q[i] = load(tile.queries[first + i]);
    CALLIOPE_UNROLL
    for (int k = 0; k < kKeys; ++k) {
      const __m256 key = load(keys[k]);
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) sums[i * kKeys + k] = _mm256_fmadd_ps(q[i], key, sums[i * kKeys + k]);
    }
  };
  int64_t d = 0;
  for (; d + 8 <= dim; d += 8) step([&](const float* p) { return _mm256_loadu_ps(p + d); });
  if (d < dim) {
    const __m256i mask = first_lanes(dim - d);
    step([&](const float* p) { return _mm256_maskload_ps(p + d, mask); });
  }
  alignas(32) float values[8];
  _mm256_store_ps(values, _mm256_mul_ps(sum_each(sums), _mm256_set1_ps(tile.call.shape.scale)));
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    std::copy_n(values + i * kKeys, std::min<int64_t>(count, kKeys), tile.row(first + i) + (s - tile.all.begin));
  }
}

template <int kQueries, int kKeys>
void score(const Tile& tile, int64_t first) {
  int64_t s = tile.all.begin;
  for (; s + kKeys <= tile.all.end; s += kKeys) dots<kQueries, kKeys>(tile, first, s, kKeys);
  if (s < tile.all.end) dots<kQueries, kKeys>(tile, first, s, tile.all.end - s);
}

// exp(score - top) over the query's own keys, zero elsewhere; gives 1 / sum.
float weigh(const Tile& tile, int64_t q) {
  float* row = tile.row(q);
  const KeyRange own{tile.ranges[q].begin - tile.all.begin, tile.ranges[q].end - tile.all.begin};
  std::fill(row, row + own.begin, 0.0f);
  std::fill(row + own.end, row + (tile.all.end - tile.all.begin), 0.0f);
  const __m256 top = _mm256_set1_ps(*std::max_element(row + own.begin, row + own.end));
  __m256 sums = _mm256_setzero_ps();
  for (int64_t s = own.begin; s < own.end; s += 8) {
    const __m256i mask = first_lanes(std::min<int64_t>(8, own.end - s));
    const __m256 e = exp_avx2(_mm256_sub_ps(_mm256_maskload_ps(row + s, mask), top));
    sums = _mm256_add_ps(sums, _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
    _mm256_maskstore_ps(row + s, mask, e);
  }
  return 1.0f / sum_avx2(sums);
}

// kVectors x 8 dimensions from `d` on of the weighted sum of values.
template <int kQueries, int kVectors>
void blend(const Tile& tile, int64_t d, const float* scales) {
  const int64_t left = tile.call.shape.head_dim - d;
  __m256i masks[kVectors];
  CALLIOPE_UNROLL
  for (int j = 0; j < kVectors; ++j) masks[j] = first_lanes(std::clamp<int64_t>(left - 8 * j, 0, 8));
  __m256 sums[kQueries][kVectors];
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm256_setzero_ps();
  }
  const int64_t keys = tile.all.end - tile.all.begin;
  const auto run = [&](auto load) {
    for (int64_t s = 0; s < keys; ++s) {
      const float* from = tile.value(tile.all.begin + s) + d;
      __m256 values[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) values[j] = load(from + 8 * j, j);
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const __m256 weight = _mm256_broadcast_ss(tile.row(i) + s);
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm256_fmadd_ps(weight, values[j], sums[i][j]);
      }
    }
  };
  if (left >= 8 * kVectors) {
    run([](const float* p, int) { return _mm256_loadu_ps(p); });
  } else {
    run([&](const float* p, int j) { return _mm256_maskload_ps(p, masks[j]); });
  }
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const __m256 sum = _mm256_mul_ps(sums[i][j], _mm256_set1_ps(scales[i]));
      _mm256_maskstore_ps(tile.outs[i] + d + 8 * j, masks[j], sum);
    }
  }
}

template <int kQueries>
void attend(const Tile& tile) {
  for (int i = 0; i + 2 <= kQueries; i += 2) score<2, 4>(tile, i);
  if (kQueries % 2 == 1) score<1, 8>(tile, kQueries - 1);
  float scales[kQueries];
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) scales[i] = weigh(tile, i);
  // Three vectors of values are 12 sums for four queries.
  const int64_t dim = tile.call.shape.head_dim;
  int64_t d = 0;
  for (; d + 32 < dim; d += 24) blend<kQueries, 3>(tile, d, scales);
  for (; d < dim; d += 16) blend<kQueries, 2>(tile, d, scales);
}

}  // namespace

void attention_queries_avx2(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end) {
  thread_local std::vector<float> scores;
  const int64_t dim = call.shape.head_dim, group = call.shape.heads / call.shape.kv_heads;
  for (int64_t first = begin; first < end; first += 4) {
    Tile tile{.call = call,
              .kv = kv,
              .count = std::min<int64_t>(4, end - first),
              .queries = {},
              .outs = {},
              .ranges = {},
              .all = call.ranges[static_cast<size_t>(first / group)],
              .scores = scores};
    for (int64_t i = 0; i < tile.count; ++i) {
      const int64_t t = (first + i) / group, head = kv * group + (first + i) % group;
      tile.queries[i] = call.q.row(t) + head * dim;
      tile.outs[i] = call.out.row(t) + head * dim;
      tile.ranges[i] = call.ranges[static_cast<size_t>(t)];
      tile.all = {std::min(tile.all.begin, tile.ranges[i].begin), std::max(tile.all.end, tile.ranges[i].end)};
    }
    const auto needed = static_cast<size_t>(tile.count * (tile.all.end - tile.all.begin));
    if (scores.size() < needed) scores.resize(needed);
    switch (tile.count) {
      case 1: attend<1>(tile); break;
      case 2: attend<2>(tile); break;
      case 3: attend<3>(tile); break;
      default: attend<4>(tile); break;
    }
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void attention_queries_avx2(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end) {
  attention_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
