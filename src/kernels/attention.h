#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// Heads of a grouped-query attention; query head h reads key/value head h / (heads / kv_heads).
struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 0;  ///< usually head_dim^-0.5
};

/// The keys [begin, end) one query may see: causal, sliding-window and block masks are all of this form.
struct KeyRange {
  int64_t begin = 0;
  int64_t end = 0;
};

/// out[t] = softmax(q[t] k^T * scale) v over the keys of ranges[t], head by head.
/// q, out [T, heads * head_dim]; k, v [S, kv_heads * head_dim]; ranges [T], none empty.
void attention(tensor::ConstRows q, tensor::ConstRows k, tensor::ConstRows v, const AttentionShape& shape,
               std::span<const KeyRange> ranges, tensor::Rows out);

}  // namespace calliope::kernels
