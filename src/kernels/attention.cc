#include "kernels/attention.h"

#include <algorithm>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/elementwise.h"

namespace calliope::kernels {
namespace {

float dot(const float* a, const float* b, int64_t n) {
  float sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (int64_t lane = 0; i < n; ++i, ++lane) sums[lane] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace

void attention(tensor::ConstRows q, tensor::ConstRows k, tensor::ConstRows v, const AttentionShape& shape,
               std::span<const KeyRange> ranges, tensor::Rows out) {
  const int64_t dim = shape.head_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  CHECK(q.cols == shape.heads * dim && k.cols == shape.kv_heads * dim && v.cols == k.cols && out.cols == q.cols);
  CHECK(static_cast<int64_t>(ranges.size()) == q.rows && out.rows == q.rows);
  const int64_t keys = ranges.empty() ? 1 : ranges.back().end - ranges.back().begin;
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, keys * dim));
  parallel_for(q.rows * shape.heads, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t t = item / shape.heads, head = item % shape.heads;
      const KeyRange range = ranges[static_cast<size_t>(t)];
      const int64_t kv = head / group * dim;
      const float* query = q.row(t) + head * dim;
      scores.resize(static_cast<size_t>(range.end - range.begin));
      for (int64_t s = range.begin; s < range.end; ++s) {
        scores[static_cast<size_t>(s - range.begin)] = dot(query, k.row(s) + kv, dim) * shape.scale;
      }
      softmax(scores);
      float* to = out.row(t) + head * dim;
      std::fill_n(to, dim, 0.0f);
      for (int64_t s = range.begin; s < range.end; ++s) {
        const float weight = scores[static_cast<size_t>(s - range.begin)];
        const float* value = v.row(s) + kv;
        for (int64_t i = 0; i < dim; ++i) to[i] += weight * value[i];
      }
    }
  });
}

}  // namespace calliope::kernels
