#pragma once

#include <cstdint>
#include <span>

#include "kernels/paged_attention.h"

namespace calliope::kernels {

/// How one head of one row attends to a stretch of its sequence: softmax(q k^T * scale) over the tokens [begin, end)
/// alone. q [heads * head_dim] is the row as paged_attention() takes it; out [end - begin]. The tokens must be stored.
void paged_scores(std::span<const float> q, const PagedRows& sequence, const AttentionShape& shape,
                  const PageLayout& layout, int64_t layer, int64_t head, int64_t begin, std::span<float> out);

}  // namespace calliope::kernels
