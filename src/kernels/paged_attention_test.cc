#include "kernels/paged_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::DType;
using tensor::Rows;
using tensor::Tensor;

Tensor random_rows(int64_t rows, int64_t cols, std::mt19937& random) {
  Tensor x({rows, cols});
  std::normal_distribution<float> normal;
  for (float& value : x.span()) value = normal(random);
  return x;
}

// Pages of several sequences, filled with NaN so that a read of what was never stored shows.
struct Pages {
  PageLayout layout;
  std::vector<std::vector<std::vector<std::byte>>> bytes;
  std::vector<std::vector<std::byte*>> starts;

  Pages(const PageLayout& given, std::span<const int64_t> lengths) : layout(given) {
    for (const int64_t length : lengths) {
      auto& pages = bytes.emplace_back();
      auto& at = starts.emplace_back();
      for (int64_t page = 0; page * layout.tokens < length; ++page) {
        auto& memory = pages.emplace_back(layout.page_bytes(), std::byte{0xff});
        at.push_back(memory.data());
      }
    }
  }
  PagedRows rows(size_t sequence, int64_t held, int64_t count) const {
    return {.rows = count, .held = held, .pages = starts[sequence]};
  }
};

float rounded(float value, DType dtype) {
  if (dtype == DType::f32) return value;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return tensor::bf16_to_f32(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

// The definition, in double, for one sequence whose token 0 is row `first` of k and v.
void expect_exact(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape, DType dtype, int64_t first,
                  int64_t held, int64_t rows, const Tensor& out, const std::string& what) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t from = head * shape.head_dim, kv = head / (shape.heads / shape.kv_heads) * shape.head_dim;
      std::vector<double> sums(size_t(shape.head_dim) + 1);
      for (int64_t s = 0; s <= held + t; ++s) {
        double score = 0;
        for (int64_t d = 0; d < shape.head_dim; ++d)
          score += double(q.rows().row(first + held + t)[from + d]) * rounded(k.rows().row(first + s)[kv + d], dtype);
        const double weight = std::exp(score * shape.scale);
        for (int64_t d = 0; d < shape.head_dim; ++d) sums[size_t(d)] += weight * rounded(v.rows().row(first + s)[kv + d], dtype);
        sums.back() += weight;
      }
      for (int64_t d = 0; d < shape.head_dim; ++d) {
        ASSERT_NEAR(out.rows().row(first + held + t)[from + d], sums[size_t(d)] / sums.back(), 3e-6) << what << " row " << t;
      }
    }
  }
}

constexpr int64_t kLengths[] = {1, 16, 17, 70, 133};

// q, k, v of all sequences under one another.
struct Inputs {
  AttentionShape shape;
  Tensor q, k, v;
  Inputs(int64_t heads, int64_t kv_heads, int64_t dim, uint32_t seed)
      : shape{.heads = heads, .kv_heads = kv_heads, .head_dim = dim, .scale = 1 / std::sqrt(float(dim))} {
    std::mt19937 random(seed);
    int64_t tokens = 0;
    for (const int64_t length : kLengths) tokens += length;
    q = random_rows(tokens, heads * dim, random);
    k = random_rows(tokens, kv_heads * dim, random);
    v = random_rows(tokens, kv_heads * dim, random);
  }

  // Runs every sequence in pieces of `step` tokens; all sequences' pieces of a round in one call when `together`.
  Tensor run(const PageLayout& layout, int64_t step, bool together) const {
    Pages pages(layout, kLengths);
    Tensor out(q.shape());
    for (int64_t held = 0; held < kLengths[std::size(kLengths) - 1]; held += step) {
      std::vector<PagedRows> parts;
      std::vector<int64_t> rows;
      int64_t first = 0;
      for (size_t i = 0; i < std::size(kLengths); ++i) {
        const int64_t count = std::min(step, kLengths[i] - held);
        if (count > 0) parts.push_back(pages.rows(i, held, count));
        for (int64_t t = 0; t < count; ++t) rows.push_back(first + held + t);
        first += kLengths[i];
      }
      const auto gathered = [&](const Tensor& from) {
        Tensor to({static_cast<int64_t>(rows.size()), from.shape()[1]});
        for (size_t t = 0; t < rows.size(); ++t) std::copy_n(from.rows().row(rows[t]), from.shape()[1], to.rows().row(int64_t(t)));
        return to;
      };
      const Tensor queries = gathered(q), keys = gathered(k), values = gathered(v);
      Tensor result(queries.shape());
      const int64_t layer = layout.layers - 1;
      const auto call = [&](std::span<const PagedRows> some, int64_t begin, int64_t count) {
        store_pages(keys.rows().slice(begin, count), values.rows().slice(begin, count), some, layout, layer);
        paged_attention(queries.rows().slice(begin, count), some, shape, layout, layer, result.rows().slice(begin, count));
      };
      if (together) call(parts, 0, static_cast<int64_t>(rows.size()));
      int64_t begin = 0;
      for (size_t i = 0; i < parts.size() && !together; begin += parts[i++].rows) call({&parts[i], 1}, begin, parts[i].rows);
      for (size_t t = 0; t < rows.size(); ++t) std::copy_n(result.rows().row(int64_t(t)), result.shape()[1], out.rows().row(rows[t]));
    }
    return out;
  }
};

TEST(PagedAttention, EveryHeadSizeAndTypeAgreesWithTheDefinition) {
  for (const Isa isa : {Isa::plain, Isa::avx2, Isa::avx512}) {
    set_isa(isa);
    for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{1, 1}, {4, 2}, {5, 1}}) {
      for (const int64_t dim : {2, 8, 12, 16, 31, 36, 64, 72}) {
        for (const DType dtype : {DType::f32, DType::bf16}) {
          const Inputs inputs(heads, kv_heads, dim, 1);
          const PageLayout layout{.tokens = dim % 3 == 0 ? 48 : 64, .layers = 2, .kv_heads = kv_heads, .head_dim = dim, .dtype = dtype};
          const Tensor out = inputs.run(layout, 29, true);
          int64_t first = 0;
          for (const int64_t length : kLengths) {
            expect_exact(inputs.q, inputs.k, inputs.v, inputs.shape, dtype, first, 0, length, out,
                         std::string(name_of(isa)) + " dim " + std::to_string(dim));
            first += length;
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(PagedAttention, BatchesPiecesAndThreadsChangeNoBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Inputs inputs(6, 2, 20, 2);
    const PageLayout layout{.tokens = 16, .layers = 1, .kv_heads = 2, .head_dim = 20, .dtype = dtype};
    set_thread_count(1);
    const Tensor expected = inputs.run(layout, 1, false);
    set_thread_count(2);
    for (const auto& [step, together] : {std::pair<int64_t, bool>{1, true}, {7, true}, {64, false}, {200, true}}) {
      const Tensor out = inputs.run(layout, step, together);
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * size_t(out.elements())), 0) << step << together;
    }
    set_thread_count(1);
  }
}

}  // namespace
}  // namespace calliope::kernels
