#pragma once

#include "kernels/attention.h"

namespace calliope::kernels::detail {

/// What attention() was called with.
struct AttentionCall {
  tensor::ConstRows q, k, v;
  AttentionShape shape;
  std::span<const KeyRange> ranges;
  tensor::Rows out;
};

/// Attention of the queries [begin, end) that read key/value head `kv`: query i is head i % group of row i / group.
using AttentionQueries = void (*)(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end);
void attention_queries_plain(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end);
void attention_queries_avx2(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end);
void attention_queries_neon(const AttentionCall& call, int64_t kv, int64_t begin, int64_t end);

}  // namespace calliope::kernels::detail
