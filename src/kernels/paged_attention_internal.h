#pragma once

#include "kernels/paged_attention.h"

namespace calliope::kernels::detail {

/// One sequence's part of a paged_attention call; q and out hold its rows only.
struct PagedCall {
  tensor::ConstRows q;
  const PagedRows& sequence;
  const AttentionShape& shape;
  const PageLayout& layout;
  int64_t layer;
  tensor::Rows out;

  int64_t group() const { return shape.heads / shape.kv_heads; }
  /// Keys the row sees.
  int64_t keys(int64_t row) const { return sequence.held + row + 1; }
  const std::byte* page_keys(int64_t page, int64_t kv) const {
    return sequence.pages[static_cast<size_t>(page)] + layout.keys_at(layer, kv);
  }
  const std::byte* page_values(int64_t page, int64_t kv) const {
    return sequence.pages[static_cast<size_t>(page)] + layout.values_at(layer, kv);
  }
};

/// Element `i` of a page's keys or values of Q8; `quants` of them come first, then the scales, of which `scale` belongs to it.
inline float load_q8(const std::byte* from, int64_t quants, int64_t i, int64_t scale) {
  return tensor::bf16_to_f32(reinterpret_cast<const uint16_t*>(from + quants)[scale]) *
         static_cast<float>(reinterpret_cast<const int8_t*>(from)[i]);
}

/// Attention of the queries [begin, end) that read key/value head `kv`: query i is head i % group of row i / group.
using PagedQueries = void (*)(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);
void paged_queries_plain(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);
void paged_queries_avx2(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);
void paged_queries_avx512(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);
/// Of bf16 pages the products of pairs: queries and weights are rounded to bf16 as well.
void paged_queries_avx512bf16(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);
void paged_queries_neon(const PagedCall& call, int64_t kv, int64_t begin, int64_t end);

}  // namespace calliope::kernels::detail
