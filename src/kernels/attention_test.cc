#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::Tensor;

Tensor random_rows(int64_t rows, int64_t cols, std::mt19937& random) {
  Tensor x({rows, cols});
  std::normal_distribution<float> normal;
  for (float& value : x.span()) value = normal(random);
  return x;
}

// The definition, in double.
Tensor exact(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape,
             std::span<const KeyRange> ranges) {
  Tensor out(q.shape());
  for (int64_t t = 0; t < q.shape()[0]; ++t) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t from = head * shape.head_dim, kv = head / (shape.heads / shape.kv_heads) * shape.head_dim;
      std::vector<double> sums(size_t(shape.head_dim) + 1);
      for (int64_t s = ranges[size_t(t)].begin; s < ranges[size_t(t)].end; ++s) {
        double score = 0;
        for (int64_t d = 0; d < shape.head_dim; ++d)
          score += double(q.rows().row(t)[from + d]) * k.rows().row(s)[kv + d];
        const double weight = std::exp(score * shape.scale);
        for (int64_t d = 0; d < shape.head_dim; ++d) sums[size_t(d)] += weight * v.rows().row(s)[kv + d];
        sums.back() += weight;
      }
      for (int64_t d = 0; d < shape.head_dim; ++d) out.rows().row(t)[from + d] = float(sums[size_t(d)] / sums.back());
    }
  }
  return out;
}

TEST(Attention, EveryHeadSizeAndMaskAgreesWithTheDefinition) {
  std::mt19937 random(1);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{1, 1}, {4, 4}, {6, 2}, {5, 1}}) {
      for (const int64_t dim : {2, 8, 12, 16, 24, 31, 36, 48, 64, 72}) {
        for (const int64_t rows : {1, 2, 3, 4, 7, 13}) {
          const int64_t keys = rows + 9;
          const AttentionShape shape{
              .heads = heads, .kv_heads = kv_heads, .head_dim = dim, .scale = 1 / std::sqrt(float(dim))};
          const Tensor q = random_rows(rows, heads * dim, random), k = random_rows(keys, kv_heads * dim, random);
          const Tensor v = random_rows(keys, kv_heads * dim, random);
          std::vector<KeyRange> causal, sliding, blocks;
          for (int64_t t = 0; t < rows; ++t) {
            causal.push_back({0, t + 10});
            sliding.push_back({std::max<int64_t>(0, t + 10 - 5), t + 10});
            blocks.push_back({t / 3 * 3, std::min(keys, t / 3 * 3 + 3)});
          }
          for (const auto& ranges : {causal, sliding, blocks}) {
            Tensor out({rows, heads * dim});
            attention(q.rows(), k.rows(), v.rows(), shape, ranges, out.rows());
            const Tensor expected = exact(q, k, v, shape, ranges);
            for (int64_t i = 0; i < out.elements(); ++i) {
              ASSERT_NEAR(out.data()[i], expected.data()[i], 3e-6)
                  << name_of(isa) << " dim " << dim << " rows " << rows;
            }
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Attention, ManyQueriesEqualEachAloneBitForBitWithAnyThreads) {
  std::mt19937 random(2);
  const AttentionShape shape{.heads = 6, .kv_heads = 2, .head_dim = 20, .scale = 0.3f};
  const Tensor q = random_rows(33, 120, random), k = random_rows(40, 40, random), v = random_rows(40, 40, random);
  std::vector<KeyRange> ranges;
  for (int64_t t = 0; t < 33; ++t) ranges.push_back({std::max<int64_t>(0, t - 6), t + 7});
  Tensor together({33, 120}), alone({33, 120});
  set_thread_count(2);
  attention(q.rows(), k.rows(), v.rows(), shape, ranges, together.rows());
  set_thread_count(1);
  for (int64_t t = 0; t < 33; ++t) {
    // The same keys at other places of the buffer, as a ring of past keys has them.
    const KeyRange range{0, ranges[size_t(t)].end - ranges[size_t(t)].begin};
    const auto from = ranges[size_t(t)].begin;
    attention(q.rows().slice(t, 1), k.rows().slice(from, range.end), v.rows().slice(from, range.end), shape,
              {&range, 1}, alone.rows().slice(t, 1));
  }
  EXPECT_EQ(std::memcmp(together.data(), alone.data(), sizeof(float) * 33 * 120), 0);
}

}  // namespace
}  // namespace calliope::kernels
