#include "kernels/paged_scores.h"

#include <algorithm>
#include <cmath>

#include "kernels/paged_attention_internal.h"

namespace calliope::kernels {
namespace {

float key_at(const std::byte* keys, int64_t at, int64_t scale, const PageLayout& layout) {
  switch (layout.dtype) {
    case tensor::DType::bf16: return tensor::bf16_to_f32(reinterpret_cast<const uint16_t*>(keys)[at]);
    case tensor::DType::q8_0: return detail::load_q8(keys, layout.tokens * layout.head_dim, at, scale);
    default: return reinterpret_cast<const float*>(keys)[at];
  }
}

}  // namespace

void paged_scores(std::span<const float> q, const PagedRows& sequence, const AttentionShape& shape,
                  const PageLayout& layout, int64_t layer, int64_t head, int64_t begin, std::span<float> out) {
  if (out.empty()) return;
  const int64_t dim = shape.head_dim, tokens = layout.tokens, kv = head / (shape.heads / shape.kv_heads);
  CHECK(static_cast<int64_t>(q.size()) == shape.heads * dim && head < shape.heads && begin >= 0);
  const int64_t end = begin + static_cast<int64_t>(out.size());
  CHECK(end <= sequence.held + sequence.rows);
  const float* query = q.data() + head * dim;
  for (int64_t s = begin; s < end; ++s) {
    const std::byte* keys = sequence.pages[static_cast<size_t>(s / tokens)] + layout.keys_at(layer, kv);
    const int64_t column = s % tokens;
    float sum = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const int64_t at = layout.key_element(d, column);
      sum += query[d] * key_at(keys, at, d / PageLayout::kBlock * tokens + column, layout);
    }
    out[static_cast<size_t>(s - begin)] = sum * shape.scale;
  }
  const float top = *std::max_element(out.begin(), out.end());
  float total = 0;
  for (float& score : out) total += score = std::exp(score - top);
  for (float& score : out) score /= total;
}

}  // namespace calliope::kernels
