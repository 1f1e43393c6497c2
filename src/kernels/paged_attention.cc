#include "kernels/paged_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/paged_attention_internal.h"

namespace calliope::kernels {
namespace {

using tensor::DType;

void check_layout(const PageLayout& layout) {
  CHECK(layout.tokens > 0 && layout.tokens % 16 == 0 && layout.tokens <= PageLayout::kMaxTokens);
  CHECK(layout.dtype == DType::f32 || layout.dtype == DType::bf16);
}

int64_t rows_of(std::span<const PagedRows> sequences, const PageLayout& layout) {
  int64_t rows = 0;
  for (const PagedRows& sequence : sequences) {
    rows += sequence.rows;
    CHECK(static_cast<int64_t>(sequence.pages.size()) * layout.tokens >= sequence.held + sequence.rows);
  }
  return rows;
}

// To nearest, ties to even.
uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class Element, class Convert>
void store(tensor::ConstRows k, tensor::ConstRows v, std::span<const PagedRows> sequences, const PageLayout& layout,
           int64_t layer, Convert convert) {
  // Heads lie apart in a page. A key's elements lie in as many cache lines: half a thousand are worth a thread.
  const int64_t grain = std::max<int64_t>(1, 512 / std::max<int64_t>(1, k.rows * layout.head_dim));
  parallel_for(layout.kv_heads, grain, [&](int64_t begin, int64_t end) {
    int64_t first = 0;
    for (const PagedRows& sequence : sequences) {
      for (int64_t i = 0; i < sequence.rows; ++i) {
        const int64_t token = sequence.held + i, slot = token % layout.tokens;
        std::byte* page = sequence.pages[static_cast<size_t>(token / layout.tokens)];
        for (int64_t head = begin; head < end; ++head) {
          const float* key = k.row(first + i) + head * layout.head_dim;
          const float* value = v.row(first + i) + head * layout.head_dim;
          auto* keys = reinterpret_cast<Element*>(page + layout.keys_at(layer, head)) + slot;
          auto* values = reinterpret_cast<Element*>(page + layout.values_at(layer, head)) + slot * layout.head_dim;
          for (int64_t d = 0; d < layout.head_dim; ++d) {
            keys[d * layout.tokens] = convert(key[d]);
            values[d] = convert(value[d]);
          }
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
  if (layout.dtype == DType::bf16) {
    store<uint16_t>(k, v, sequences, layout, layer, to_bf16);
  } else {
    store<float>(k, v, sequences, layout, layer, [](float value) { return value; });
  }
}

void paged_attention(tensor::ConstRows q, std::span<const PagedRows> sequences, const AttentionShape& shape,
                     const PageLayout& layout, int64_t layer, tensor::Rows out) {
  check_layout(layout);
  const int64_t group = shape.heads / shape.kv_heads;
  CHECK(q.cols == shape.heads * shape.head_dim && out.cols == q.cols && out.rows == q.rows);
  CHECK(layout.kv_heads == shape.kv_heads && layout.head_dim == shape.head_dim);
  CHECK(rows_of(sequences, layout) == q.rows);
  const auto run = choose<detail::PagedQueries>(detail::paged_queries_plain, detail::paged_queries_avx2, detail::paged_queries_avx512);
  // Queries of one key/value head that share what is loaded.
  const int64_t tile_queries = choose(4, 4, 8);

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
