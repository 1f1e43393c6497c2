#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/attention.h"
#include "tensor/tensor.h"

namespace calliope::kernels {

/// How keys and values lie in a page of `tokens` tokens. For every layer the keys [kv_heads, head_dim, tokens], then the
/// values [kv_heads, tokens, head_dim]: scores and weighted sums of a page are straight vector loads. In q8_0 each head's
/// row of a token is quantised in blocks of 32: i8 quants in that order, and behind those of a head bf16 scales
/// [blocks, tokens]. x ~ scale * quant; a scale is max |x| / 127 of its block, rounded up. In bf16 what one product of pairs
/// takes lies together: two dimensions of a key, keys [kv_heads, (head_dim + 1) / 2, tokens, 2], and two tokens' values,
/// values [kv_heads, tokens / 2, head_dim, 2].
struct PageLayout {
  static constexpr int64_t kMaxTokens = 64;
  static constexpr int64_t kBlock = 32;
  int64_t tokens = kMaxTokens;  ///< a multiple of 16, at most kMaxTokens
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  tensor::DType dtype = tensor::DType::f32;  ///< or bf16 or q8_0

  int64_t blocks() const { return (head_dim + kBlock - 1) / kBlock; }
  /// Bytes of one layer's keys, or of its values, of one head.
  size_t head_bytes() const {
    switch (dtype) {
      case tensor::DType::q8_0: return static_cast<size_t>(tokens * (head_dim + 2 * blocks()));
      case tensor::DType::bf16: return static_cast<size_t>(tokens * ((head_dim + 1) / 2) * 4);
      default: return static_cast<size_t>(tokens * head_dim) * sizeof(float);
    }
  }
  size_t page_bytes() const { return head_bytes() * static_cast<size_t>(2 * kv_heads * layers); }
  /// Where in a page they begin.
  size_t keys_at(int64_t layer, int64_t head) const { return head_bytes() * static_cast<size_t>(2 * kv_heads * layer + head); }
  size_t values_at(int64_t layer, int64_t head) const { return keys_at(layer, head + kv_heads); }
  /// Which element of a head's keys is dimension d of the page's token s; and of its values.
  int64_t key_element(int64_t d, int64_t s) const {
    return dtype == tensor::DType::bf16 ? (d / 2 * tokens + s) * 2 + d % 2 : d * tokens + s;
  }
  int64_t value_element(int64_t s, int64_t d) const {
    return dtype == tensor::DType::bf16 ? (s / 2 * head_dim + d) * 2 + s % 2 : s * head_dim + d;
  }
};

/// One sequence's rows in a batch; the rows of all sequences follow one another.
struct PagedRows {
  int64_t rows = 0;                       ///< rows of q, k, v and out that are this sequence's
  int64_t held = 0;                       ///< tokens before them: row i is token held + i
  std::span<std::byte* const> pages = {};  ///< token s lies in page s / tokens
};

/// Puts the rows' keys and values, [T, kv_heads * head_dim] each, into their places in the pages. In q8_0 a block with
/// something that is not finite becomes NaN.
void store_pages(tensor::ConstRows k, tensor::ConstRows v, std::span<const PagedRows> sequences, const PageLayout& layout,
                 int64_t layer);

/// Causal attention of every row over its own sequence: out[t] = softmax(q[t] k^T * scale) v over the tokens up to its
/// own, head by head. q, out [T, heads * head_dim]. A row's result depends on its own sequence alone, bit for bit,
/// whatever other rows and threads there are.
void paged_attention(tensor::ConstRows q, std::span<const PagedRows> sequences, const AttentionShape& shape,
                     const PageLayout& layout, int64_t layer, tensor::Rows out);

}  // namespace calliope::kernels
