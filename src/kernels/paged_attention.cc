#include "kernels/paged_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/paged_attention_internal.h"
#include "kernels/round_bf16_internal.h"

namespace calliope::kernels {
namespace {

using tensor::DType;

void check_layout(const PageLayout& layout) {
  CHECK(layout.tokens > 0 && layout.tokens % 16 == 0 && layout.tokens <= PageLayout::kMaxTokens);
  CHECK(layout.dtype == DType::f32 || layout.dtype == DType::bf16 || layout.dtype == DType::q8_0);
}

int64_t rows_of(std::span<const PagedRows> sequences, const PageLayout& layout) {
  int64_t rows = 0;
  for (const PagedRows& sequence : sequences) {
    rows += sequence.rows;
    CHECK(static_cast<int64_t>(sequence.pages.size()) * layout.tokens >= sequence.held + sequence.rows);
  }
  return rows;
}

// Quants of a block, `next` apart; gives its scale.
uint16_t quantize(const float* x, int64_t count, int8_t* to, int64_t next) {
  float top = 0, sum = 0;
  for (int64_t d = 0; d < count; ++d) {
    top = std::max(top, std::abs(x[d]));
    sum += x[d] * 0.0f;  // NaN where something is not finite
  }
  // Below this the reciprocal could overflow.
  const bool empty = sum != 0 || top < 0x1p-100f;
  const auto bits = std::bit_cast<uint32_t>(top / 127.0f);
  const auto scale = static_cast<uint16_t>((bits >> 16) + ((bits & 0xffff) != 0));
  const float inverse = empty ? 0.0f : 1.0f / tensor::bf16_to_f32(scale);
  // The low bits of 1.5 * 2^23 + n are n, rounded to nearest.
  for (int64_t d = 0; d < count; ++d) {
    const float value = empty ? 0.0f : x[d] * inverse;
    to[d * next] = static_cast<int8_t>(std::bit_cast<int32_t>(value + 0x1.8p23f));
  }
  return std::isnan(sum) ? uint16_t{0x7fc0} : empty ? uint16_t{0} : scale;
}

// put_key(key [head_dim], where the head's begin, slot), and put_value for values.
template <class PutKey, class PutValue>
void store(tensor::ConstRows k, tensor::ConstRows v, std::span<const PagedRows> sequences, const PageLayout& layout,
           int64_t layer, PutKey put_key, PutValue put_value) {
  // Heads lie apart in a page. A key's elements lie in as many cache lines: half a thousand are worth a thread.
  const int64_t grain = std::max<int64_t>(1, 512 / std::max<int64_t>(1, k.rows * layout.head_dim));
  parallel_for(layout.kv_heads, grain, [&](int64_t begin, int64_t end) {
    int64_t first = 0;
    for (const PagedRows& sequence : sequences) {
      for (int64_t i = 0; i < sequence.rows; ++i) {
        const int64_t token = sequence.held + i, slot = token % layout.tokens;
        std::byte* page = sequence.pages[static_cast<size_t>(token / layout.tokens)];
        for (int64_t head = begin; head < end; ++head) {
          put_key(k.row(first + i) + head * layout.head_dim, page + layout.keys_at(layer, head), slot);
          put_value(v.row(first + i) + head * layout.head_dim, page + layout.values_at(layer, head), slot);
        }
      }
      first += sequence.rows;
    }
  });
}

}  // namespace

void store_pages(tensor::ConstRows k, tensor::ConstRows v, std::span<const PagedRows> sequences, const PageLayout& layout,
                 int64_t layer) {
  check_layout(layout);
  CHECK(k.cols == layout.kv_heads * layout.head_dim && v.cols == k.cols && v.rows == k.rows);
  CHECK(rows_of(sequences, layout) == k.rows);
  const int64_t dim = layout.head_dim, tokens = layout.tokens;
  const auto quantise_to = [dim, tokens](const float* x, std::byte* to, int64_t slot, int64_t next, int64_t first) {
    auto* scales = reinterpret_cast<uint16_t*>(to + dim * tokens) + slot;
    auto* quants = reinterpret_cast<int8_t*>(to) + first;
    for (int64_t d = 0; d < dim; d += PageLayout::kBlock, scales += tokens) {
      *scales = quantize(x + d, std::min(PageLayout::kBlock, dim - d), quants + d * next, next);
    }
  };
  switch (layout.dtype) {
    case DType::bf16: {
      const auto round = detail::round_to_bf16();
      const auto rounded = [&](const float* x) {
        thread_local std::vector<uint16_t> bits;
        bits.assign(static_cast<size_t>(dim + 1), 0);
        round(x, dim, bits.data());
        return bits.data();
      };
      return store(
          k, v, sequences, layout, layer,
          [&](const float* x, std::byte* to, int64_t slot) {
            const uint16_t* bits = rounded(x);
            auto* pairs = reinterpret_cast<uint32_t*>(to) + slot;
            for (int64_t d = 0; d < dim; d += 2, pairs += tokens) std::memcpy(pairs, bits + d, 4);
          },
          [&](const float* x, std::byte* to, int64_t slot) {
            // The first of two clears the place of the second: a weight of zero times what lies there must be zero.
            const uint16_t* bits = rounded(x);
            auto* pairs = reinterpret_cast<uint32_t*>(to) + slot / 2 * dim;
            if (slot % 2 == 0) {
              for (int64_t d = 0; d < dim; ++d) pairs[d] = bits[d];
            } else {
              for (int64_t d = 0; d < dim; ++d) pairs[d] = (pairs[d] & 0xffff) | static_cast<uint32_t>(bits[d]) << 16;
            }
          });
    }
    case DType::q8_0:
      return store(
          k, v, sequences, layout, layer,
          [&](const float* x, std::byte* to, int64_t slot) { quantise_to(x, to, slot, tokens, slot); },
          [&](const float* x, std::byte* to, int64_t slot) { quantise_to(x, to, slot, 1, slot * dim); });
    default:
      return store(
          k, v, sequences, layout, layer,
          [&](const float* x, std::byte* to, int64_t slot) {
            auto* keys = reinterpret_cast<float*>(to) + slot;
            for (int64_t d = 0; d < dim; ++d) keys[d * tokens] = x[d];
          },
          [&](const float* x, std::byte* to, int64_t slot) { std::copy_n(x, dim, reinterpret_cast<float*>(to) + slot * dim); });
  }
}

void paged_attention(tensor::ConstRows q, std::span<const PagedRows> sequences, const AttentionShape& shape,
                     const PageLayout& layout, int64_t layer, tensor::Rows out) {
  check_layout(layout);
  const int64_t group = shape.heads / shape.kv_heads;
  CHECK(q.cols == shape.heads * shape.head_dim && out.cols == q.cols && out.rows == q.rows);
  CHECK(layout.kv_heads == shape.kv_heads && layout.head_dim == shape.head_dim);
  CHECK(rows_of(sequences, layout) == q.rows);
  const auto avx512 = active_isa() == Isa::avx512bf16 ? detail::paged_queries_avx512bf16 : detail::paged_queries_avx512;
  const auto run = choose<detail::PagedQueries>(detail::paged_queries_plain, detail::paged_queries_avx2, avx512, detail::paged_queries_neon);
  // Queries of one key/value head that share what is loaded.
  const int64_t tile_queries = choose(4, 4, 8, 4);

  // Items are tiles of every key/value head of every sequence; at least 64k multiply-adds a piece.
  const auto tiles_of = [&](const PagedRows& sequence) { return (sequence.rows * group + tile_queries - 1) / tile_queries; };
  int64_t items = 0, work = 0;
  for (const PagedRows& sequence : sequences) {
    const int64_t tiles = tiles_of(sequence) * shape.kv_heads;
    items += tiles;
    work += tiles * 2 * tile_queries * shape.head_dim * (sequence.held + (sequence.rows + 1) / 2);
  }
  if (items == 0) return;
  parallel_for(items, std::max<int64_t>(1, 65536 * items / std::max<int64_t>(1, work)), [&](int64_t begin, int64_t end) {
    int64_t first_item = 0, first_row = 0;
    for (const PagedRows& sequence : sequences) {
      const int64_t tiles = tiles_of(sequence), last_item = first_item + tiles * shape.kv_heads;
      const detail::PagedCall call{q.slice(first_row, sequence.rows), sequence, shape, layout, layer,
                                   out.slice(first_row, sequence.rows)};
      for (int64_t item = std::max(begin, first_item); item < std::min(end, last_item);) {
        const int64_t kv = (item - first_item) / tiles, tile = (item - first_item) % tiles;
        const int64_t count = std::min({tiles - tile, std::min(end, last_item) - item});
        run(call, kv, tile * tile_queries, std::min((tile + count) * tile_queries, sequence.rows * group));
        item += count;
      }
      first_item = last_item;
      first_row += sequence.rows;
    }
  });
}

}  // namespace calliope::kernels
