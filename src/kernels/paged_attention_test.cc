#include "kernels/paged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/paged_scores.h"

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

// The smallest bf16 that is not below a positive value.
float rounded_up(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits = (bits + 0xffff) & 0xffff0000;
  std::memcpy(&value, &bits, 4);
  return value;
}

// What pages of a type keep of keys or values.
Tensor stored(const Tensor& x, DType dtype, int64_t dim) {
  Tensor kept = x;
  if (dtype == DType::bf16) {
    for (float& value : kept.span()) {
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      value = tensor::bf16_to_f32(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
    }
  }
  for (int64_t i = 0; dtype == DType::q8_0 && i < x.elements(); i += i % dim + 32 < dim ? 32 : dim - i % dim) {
    const int64_t end = i + std::min<int64_t>(32, dim - i % dim);
    float top = 0;
    for (int64_t d = i; d < end; ++d) top = std::max(top, std::abs(x.data()[d]));
    const float scale = rounded_up(top / 127);
    for (int64_t d = i; d < end; ++d) kept.data()[d] = scale * std::nearbyint(x.data()[d] * (1 / scale));
  }
  return kept;
}

// Whether the products of this type are those of pairs of bf16: queries and weights are then rounded, too.
bool rounds_all(Isa isa, DType dtype) { return isa == Isa::avx512bf16 && dtype == DType::bf16; }

// The definition, in double, for one sequence whose token 0 is row `first` of k and v. Weights may each be off by a factor
// within 1 +- `weight_error`, so that the result is off by at most that much of sum w |v|.
void expect_exact(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape, int64_t first,
                  int64_t held, int64_t rows, const Tensor& out, const std::string& what, double weight_error) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t from = head * shape.head_dim, kv = head / (shape.heads / shape.kv_heads) * shape.head_dim;
      std::vector<double> sums(size_t(shape.head_dim) + 1), magnitudes(size_t(shape.head_dim));
      for (int64_t s = 0; s <= held + t; ++s) {
        double score = 0;
        for (int64_t d = 0; d < shape.head_dim; ++d)
          score += double(q.rows().row(first + held + t)[from + d]) * k.rows().row(first + s)[kv + d];
        const double weight = std::exp(score * shape.scale);
        for (int64_t d = 0; d < shape.head_dim; ++d) {
          const double value = weight * v.rows().row(first + s)[kv + d];
          sums[size_t(d)] += value;
          magnitudes[size_t(d)] += std::abs(value);
        }
        sums.back() += weight;
      }
      for (int64_t d = 0; d < shape.head_dim; ++d) {
        ASSERT_NEAR(out.rows().row(first + held + t)[from + d], sums[size_t(d)] / sums.back(),
                    3e-6 + weight_error * magnitudes[size_t(d)] / sums.back())
            << what << " row " << t;
      }
    }
  }
}

constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::q8_0};
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
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{1, 1}, {4, 2}, {5, 1}}) {
      for (const int64_t dim : {2, 8, 12, 16, 31, 36, 64, 72}) {
        for (const DType dtype : kTypes) {
          const Inputs inputs(heads, kv_heads, dim, 1);
          const Tensor k = stored(inputs.k, dtype, dim), v = stored(inputs.v, dtype, dim);
          const bool all = rounds_all(isa, dtype);
          const Tensor q = all ? stored(inputs.q, dtype, dim) : inputs.q;
          const PageLayout layout{.tokens = dim % 3 == 0 ? 48 : 64, .layers = 2, .kv_heads = kv_heads, .head_dim = dim, .dtype = dtype};
          const Tensor out = inputs.run(layout, 29, true);
          int64_t first = 0;
          for (const int64_t length : kLengths) {
            expect_exact(q, k, v, inputs.shape, first, 0, length, out, std::string(name_of(isa)) + " dim " + std::to_string(dim),
                         all ? 0x1p-8 : 0);
            first += length;
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(PagedAttention, BatchesPiecesAndThreadsChangeNoBit) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const DType dtype : kTypes) {
      const Inputs inputs(6, 2, 40, 2);
      const PageLayout layout{.tokens = 16, .layers = 1, .kv_heads = 2, .head_dim = 40, .dtype = dtype};
      set_thread_count(1);
      const Tensor expected = inputs.run(layout, 1, false);
      set_thread_count(2);
      for (const auto& [step, together] : {std::pair<int64_t, bool>{1, true}, {7, true}, {64, false}, {200, true}}) {
        const Tensor out = inputs.run(layout, step, together);
        EXPECT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * size_t(out.elements())), 0) << name_of(isa) << step << together;
      }
      set_thread_count(1);
    }
  }
  set_isa(best_isa());
}

// A score is off by at most e = sum |q| * scale / 2 (half a quant of each key), a weight therefore by a factor within
// exp(+-2 e), and the result by (exp(2 e) - 1) * sum w |v| and half a quant of the largest value.
TEST(PagedAttention, Q8StaysAsNearToF32AsItsQuantsAllow) {
  const int64_t dim = 64;
  const Inputs inputs(2, 1, dim, 3);
  PageLayout layout{.tokens = 64, .layers = 1, .kv_heads = 1, .head_dim = dim};
  const Tensor exact = inputs.run(layout, 200, true);
  layout.dtype = DType::q8_0;
  const Tensor quantised = inputs.run(layout, 200, true);
  const auto half_quant = [&](const Tensor& x, int64_t row, int64_t d) {
    float top = 0;
    for (int64_t i = d / 32 * 32; i < d / 32 * 32 + 32; ++i) top = std::max(top, std::abs(x.rows().row(row)[i]));
    return rounded_up(top / 127) / 2;
  };
  double largest = 0;
  int64_t first = 0;
  for (const int64_t length : kLengths) {
    for (int64_t t = first; t < first + length; ++t) {
      for (int64_t head = 0; head < 2; ++head) {
        double error = 0, total = 0;
        std::vector<double> weights;
        for (int64_t s = first; s <= t; ++s) {
          double score = 0, off = 0;
          for (int64_t d = 0; d < dim; ++d) {
            const double q = inputs.q.rows().row(t)[head * dim + d];
            score += q * inputs.k.rows().row(s)[d];
            off += std::abs(q) * half_quant(inputs.k, s, d);
          }
          error = std::max(error, off * inputs.shape.scale);
          weights.push_back(std::exp(score * inputs.shape.scale));
          total += weights.back();
        }
        for (int64_t d = 0; d < dim; ++d) {
          double magnitude = 0, value = 0;
          for (int64_t s = first; s <= t; ++s) {
            magnitude += weights[size_t(s - first)] / total * std::abs(inputs.v.rows().row(s)[d]);
            value = std::max(value, double(half_quant(inputs.v, s, d)));
          }
          const double off = std::abs(quantised.rows().row(t)[head * dim + d] - exact.rows().row(t)[head * dim + d]);
          ASSERT_LE(off, std::expm1(2 * error) * magnitude + value + 6e-6) << "row " << t;
          largest = std::max(largest, off);
        }
      }
    }
    first += length;
  }
  EXPECT_GT(largest, 1e-4) << "nothing was rounded";
}

TEST(PagedAttention, Q8OfExtremes) {
  const AttentionShape shape{.heads = 1, .kv_heads = 1, .head_dim = 36, .scale = 1};
  const PageLayout layout{.tokens = 16, .layers = 1, .kv_heads = 1, .head_dim = 36, .dtype = DType::q8_0};
  const float large = std::numeric_limits<float>::max(), infinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    // One token sees itself alone: the result is its value as it was stored.
    const auto value_of = [&](float first, float rest) {
      const int64_t lengths[] = {1};
      Pages pages(layout, lengths);
      Tensor q({1, 36}), k({1, 36}), v({1, 36}), out({1, 36});
      for (float& value : v.span()) value = rest;
      v.data()[0] = first;
      const PagedRows rows = pages.rows(0, 0, 1);
      store_pages(k.rows(), v.rows(), {&rows, 1}, layout, 0);
      paged_attention(q.rows(), {&rows, 1}, shape, layout, 0, out.rows());
      return out;
    };
    EXPECT_EQ(value_of(0, 0).data()[7], 0);
    EXPECT_EQ(value_of(1e-38f, -1e-38f).data()[0], 0);
    EXPECT_NEAR(value_of(large, -large).data()[3], -large, large / 127);
    EXPECT_NEAR(value_of(3, 1).data()[35], 1, 0x1p-7) << "of the second block";
    for (const float bad : {infinity, -infinity, std::nanf("")}) {
      const Tensor out = value_of(bad, 1);
      EXPECT_TRUE(std::isnan(out.data()[0]) && std::isnan(out.data()[31]));
      EXPECT_NEAR(out.data()[35], 1, 0x1p-7);
    }
  }
  set_isa(best_isa());
}

// With values that are one for one token and zero for the others, attention gives that token's share.
TEST(PagedScores, AreTheSharesThatAttentionGives) {
  std::mt19937 random(5);
  for (const DType dtype : {DType::f32, DType::bf16, DType::q8_0}) {
    const AttentionShape shape{.heads = 4, .kv_heads = 2, .head_dim = 8, .scale = 0.4f};
    const PageLayout layout{.tokens = 16, .layers = 2, .kv_heads = 2, .head_dim = 8, .dtype = dtype};
    constexpr int64_t kTokens = 21;
    const Tensor q = stored(random_rows(1, 32, random), DType::bf16, 8), k = random_rows(kTokens, 16, random);
    Tensor v({kTokens, 16});
    std::fill(v.span().begin(), v.span().end(), 0.0f);
    for (int64_t t = 0; t < 8; ++t) v.rows().row(13 + t)[t] = v.rows().row(13 + t)[8 + t] = 1.0f;
    const int64_t lengths[] = {kTokens};
    const Pages pages(layout, lengths);
    const PagedRows all = pages.rows(0, 0, kTokens), last = pages.rows(0, kTokens - 1, 1);
    store_pages(k.rows(), v.rows(), {&all, 1}, layout, 1);
    Tensor out({1, 32});
    paged_attention(q.rows(), {&last, 1}, shape, layout, 1, out.rows());
    for (int64_t head = 0; head < shape.heads; ++head) {
      std::vector<float> shares(kTokens), some(8);
      paged_scores(q.span(), last, shape, layout, 1, head, 0, shares);
      paged_scores(q.span(), last, shape, layout, 1, head, 13, some);
      float total = 0;
      for (int64_t t = 0; t < 8; ++t) total += shares[static_cast<size_t>(13 + t)];
      for (int64_t t = 0; t < 8; ++t) {
        const float share = shares[static_cast<size_t>(13 + t)];
        // Half a quant of the value one; or of the weight.
        const float rounding = dtype == DType::q8_0 ? static_cast<float>(rounded_up(1.0f / 127)) / 2 : rounds_all(best_isa(), dtype) ? 0x1p-8f : 0;
        EXPECT_NEAR(share, out.span()[static_cast<size_t>(head * 8 + t)], 1e-6f + rounding * share);
        EXPECT_NEAR(some[static_cast<size_t>(t)], shares[static_cast<size_t>(13 + t)] / total, 1e-6f);
      }
    }
  }
}

}  // namespace
}  // namespace calliope::kernels
