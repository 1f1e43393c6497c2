#include "kernels/attention_internal.h"

#if defined(__aarch64__)
#include <algorithm>
#include <vector>

#include "kernels/unroll.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

// Up to four queries of one key/value head. As in attention_avx2.cc: keys run over the union of their ranges, a key
// outside a query's own gets the weight zero, and every sum has one fixed order, whatever queries come together.
struct Tile {
  const AttentionCall& call;
  int64_t kv = 0;
  const float* queries[4] = {};
  float* outs[4] = {};
  KeyRange ranges[4] = {};
  KeyRange all;
  std::vector<float>& scores;  // [queries, all]

  int64_t keys() const { return all.end - all.begin; }
  float* row(int64_t q) const { return scores.data() + q * keys(); }
  const float* key(int64_t s) const { return call.k.row(all.begin + s) + kv * call.shape.head_dim; }
  const float* value(int64_t s) const { return call.v.row(all.begin + s) + kv * call.shape.head_dim; }
};

// Scores of the `count` <= 4 keys from s on.
template <int kQueries>
void score(const Tile& tile, int64_t s, int64_t count) {
  const int64_t dim = tile.call.shape.head_dim;
  const float* keys[4];
  float32x4_t sums[kQueries][4];
  CALLIOPE_UNROLL
  for (int k = 0; k < 4; ++k) keys[k] = tile.key(s + std::min<int64_t>(k, count - 1));
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    CALLIOPE_UNROLL
    for (int k = 0; k < 4; ++k) sums[i][k] = vdupq_n_f32(0.0f);
  }
  const auto step = [&](auto load) __attribute__((always_inline)) {
    float32x4_t q[kQueries];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) q[i] = load(tile.queries[i]);
    CALLIOPE_UNROLL
    for (int k = 0; k < 4; ++k) {
      const float32x4_t key = load(keys[k]);
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) sums[i][k] = vfmaq_f32(sums[i][k], q[i], key);
    }
  };
  int64_t d = 0;
  for (; d + 4 <= dim; d += 4) step([&](const float* p) { return vld1q_f32(p + d); });
  if (d < dim) step([&](const float* p) { return load_first_neon(p + d, dim - d); });
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    const float32x4_t four = sum_each_neon(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    store_first_neon(tile.row(i) + s, vmulq_n_f32(four, tile.call.shape.scale), count);
  }
}

// exp(score - top) over the query's own keys, zero elsewhere; gives 1 / sum.
float weigh(const Tile& tile, int64_t q) {
  float* row = tile.row(q);
  const KeyRange own{tile.ranges[q].begin - tile.all.begin, tile.ranges[q].end - tile.all.begin};
  std::fill(row, row + own.begin, 0.0f);
  std::fill(row + own.end, row + tile.keys(), 0.0f);
  const float32x4_t top = vdupq_n_f32(*std::max_element(row + own.begin, row + own.end));
  float32x4_t sums = vdupq_n_f32(0.0f);
  for (int64_t s = own.begin; s < own.end; s += 4) {
    const int64_t count = own.end - s;
    const float32x4_t e = exp_neon(vsubq_f32(load_first_neon(row + s, count), top));
    sums = vaddq_f32(sums, keep_neon(first_lanes_neon(count), e));
    store_first_neon(row + s, e, count);
  }
  return 1.0f / sum_neon(sums);
}

// kVectors x 4 dimensions from `d` on of the weighted sum of values; the last vector may be cut.
template <int kQueries, int kVectors>
void blend(const Tile& tile, int64_t d, const float* scales) {
  const int64_t last = tile.call.shape.head_dim - d - 4 * (kVectors - 1);
  float32x4_t sums[kQueries][kVectors];
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) sums[i][j] = vdupq_n_f32(0.0f);
  }
  for (int64_t s = 0; s < tile.keys(); ++s) {
    const float* from = tile.value(s) + d;
    float32x4_t values[kVectors];
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      values[j] = j + 1 < kVectors ? vld1q_f32(from + 4 * j) : load_first_neon(from + 4 * j, last);
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      const float32x4_t weight = vld1q_dup_f32(tile.row(i) + s);
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = vfmaq_f32(sums[i][j], weight, values[j]);
    }
  }
  CALLIOPE_UNROLL
  for (int i = 0; i < kQueries; ++i) {
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      store_first_neon(tile.outs[i] + d + 4 * j, vmulq_n_f32(sums[i][j], scales[i]), j + 1 < kVectors ? 4 : last);
    }
  }
}

template <int kQueries>
void attend(const Tile& tile) {
  for (int64_t s = 0; s < tile.keys(); s += 4) score<kQueries>(tile, s, std::min<int64_t>(4, tile.keys() - s));
  float scales[kQueries];
  for (int i = 0; i < kQueries; ++i) scales[i] = weigh(tile, i);
  const int64_t dim = tile.call.shape.head_dim;
  int64_t d = 0;
  for (; d + 16 <= dim; d += 16) blend<kQueries, 4>(tile, d, scales);
  for (; d < dim; d += 4) blend<kQueries, 1>(tile, d, scales);
}

}  // namespace

void attention_queries_neon(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end) {
  thread_local std::vector<float> scores;
  const int64_t dim = call.shape.head_dim, group = call.shape.heads / call.shape.kv_heads;
  for (int64_t first = begin; first < end; first += 4) {
    const int64_t count = std::min<int64_t>(4, end - first);
    Tile tile{.call = call, .kv = kv, .all = call.ranges[static_cast<size_t>(first / group)], .scores = scores};
    for (int64_t i = 0; i < count; ++i) {
      const int64_t t = (first + i) / group, head = kv * group + (first + i) % group;
      tile.queries[i] = call.q.row(t) + head * dim;
      tile.outs[i] = call.out.row(t) + head * dim;
      tile.ranges[i] = call.ranges[static_cast<size_t>(t)];
      tile.all = {std::min(tile.all.begin, tile.ranges[i].begin), std::max(tile.all.end, tile.ranges[i].end)};
    }
    if (const auto needed = static_cast<size_t>(count * tile.keys()); scores.size() < needed) scores.resize(needed);
    switch (count) {
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
void attention_queries_neon(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end) {
  attention_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
