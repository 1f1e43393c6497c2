#include "kernels/attention.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/attention_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {

void attention(tensor::ConstRows q, tensor::ConstRows k, tensor::ConstRows v, const AttentionShape& shape,
               std::span<const KeyRange> ranges, tensor::Rows out) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads;
  CHECK(q.cols == shape.heads * dim && k.cols == shape.kv_heads * dim && v.cols == k.cols && out.cols == q.cols);
  CHECK(static_cast<int64_t>(ranges.size()) == q.rows && out.rows == q.rows);
  if (q.rows == 0) return;
  const auto run = choose<detail::AttentionQueries>(detail::attention_queries_plain, detail::attention_queries_avx2,
                                                      detail::attention_queries_avx2, detail::attention_queries_neon);
  const detail::AttentionCall call{q, k, v, shape, ranges, out};
  // Queries of one key/value head go in blocks of 4, which share what is loaded; at least 64k multiply-adds a piece.
  constexpr int64_t kTile = 4;
  const int64_t queries = q.rows * group, tiles = (queries + kTile - 1) / kTile;
  const int64_t work = 2 * kTile * dim * std::max<int64_t>(1, ranges.back().end - ranges.back().begin);
  parallel_for(shape.kv_heads * tiles, std::max<int64_t>(1, 65536 / work), [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t kv = begin / tiles, tile = begin % tiles, last = std::min(tiles, tile + end - begin);
      run(call, kv, tile * kTile, std::min(last * kTile, queries));
      begin += last - tile;
    }
  });
}

}  // namespace calliope::kernels
