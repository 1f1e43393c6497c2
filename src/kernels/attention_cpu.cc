#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention_internal.h"

namespace calliope::kernels::detail {

void attention_queries_plain(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end) {
  const int64_t dim = call.shape.head_dim, group = call.shape.heads / call.shape.kv_heads;
  thread_local std::vector<float> scores;  // keeps its memory from call to call
  for (int64_t i = begin; i < end; ++i) {
    const int64_t t = i / group, head = kv * group + i % group;
    const KeyRange range = call.ranges[static_cast<size_t>(t)];
    const float* query = call.q.row(t) + head * dim;
    scores.clear();
    for (int64_t s = range.begin; s < range.end; ++s) {
      const float* key = call.k.row(s) + kv * dim;
      float sum = 0;
      for (int64_t d = 0; d < dim; ++d) sum += query[d] * key[d];
      scores.push_back(sum * call.shape.scale);
    }
    const float top = *std::ranges::max_element(scores);
    float total = 0;
    for (float& score : scores) total += score = std::exp(score - top);
    float* to = call.out.row(t) + head * dim;
    std::fill_n(to, dim, 0.0f);
    for (int64_t s = range.begin; s < range.end; ++s) {
      const float* value = call.v.row(s) + kv * dim;
      const float weight = scores[static_cast<size_t>(s - range.begin)] / total;
      for (int64_t d = 0; d < dim; ++d) to[d] += weight * value[d];
    }
  }
}

}  // namespace calliope::kernels::detail
