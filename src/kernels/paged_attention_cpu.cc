#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/paged_attention_internal.h"

namespace calliope::kernels::detail {
namespace {

// load(page, element, scale). Page by page with a running maximum: what was summed under a smaller one is scaled down when a larger comes.
template <class Load>
void attend(const PagedCall& call, int64_t kv, int64_t query, Load load) {
  const int64_t dim = call.shape.head_dim, tokens = call.layout.tokens, row = query / call.group();
  const int64_t head = kv * call.group() + query % call.group();
  const float* q = call.q.row(row) + head * dim;
  float* out = call.out.row(row) + head * dim;
  std::fill_n(out, dim, 0.0f);
  float top = -std::numeric_limits<float>::infinity(), total = 0;
  for (int64_t first = 0; first < call.keys(row); first += tokens) {
    const std::byte *keys = call.page_keys(first / tokens, kv), *values = call.page_values(first / tokens, kv);
    const int64_t count = std::min(tokens, call.keys(row) - first);
    float scores[PageLayout::kMaxTokens] = {};
    for (int64_t d = 0; d < dim; ++d) {
      for (int64_t s = 0; s < count; ++s) scores[s] += q[d] * load(keys, call.layout.key_element(d, s), d / PageLayout::kBlock * tokens + s);
    }
    for (int64_t s = 0; s < count; ++s) scores[s] *= call.shape.scale;
    const float larger = std::max(top, *std::max_element(scores, scores + count)), shrink = std::exp(top - larger);
    top = larger;
    total *= shrink;
    for (int64_t s = 0; s < count; ++s) total += scores[s] = std::exp(scores[s] - top);
    for (int64_t d = 0; d < dim; ++d) out[d] *= shrink;
    for (int64_t s = 0; s < count; ++s) {
      for (int64_t d = 0; d < dim; ++d) out[d] += scores[s] * load(values, call.layout.value_element(s, d), d / PageLayout::kBlock * tokens + s);
    }
  }
  for (int64_t d = 0; d < dim; ++d) out[d] /= total;
}

float load_f32(const std::byte* from, int64_t i, int64_t) { return reinterpret_cast<const float*>(from)[i]; }
float load_bf16(const std::byte* from, int64_t i, int64_t) {
  return tensor::bf16_to_f32(reinterpret_cast<const uint16_t*>(from)[i]);
}

}  // namespace

void paged_queries_plain(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  const int64_t quants = call.layout.tokens * call.layout.head_dim;
  const auto load_q8_page = [quants](const std::byte* from, int64_t i, int64_t scale) { return load_q8(from, quants, i, scale); };
  for (int64_t query = begin; query < end; ++query) {
    switch (call.layout.dtype) {
      case tensor::DType::bf16: attend(call, kv, query, load_bf16); break;
      case tensor::DType::q8_0: attend(call, kv, query, load_q8_page); break;
      default: attend(call, kv, query, load_f32);
    }
  }
}

}  // namespace calliope::kernels::detail
