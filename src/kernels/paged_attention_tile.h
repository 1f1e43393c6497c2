#pragma once

// The body of every paged_attention_<isa>.cc, over what that file says of its vectors. Everything lies in an unnamed
// namespace, as each file is compiled for another instruction set.

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/paged_attention_internal.h"
#include "kernels/unroll.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

// Ops: Vector of kLanes floats and Mask of its first lanes (all, first); zero, set, load, store, add, sub, mul, fma (a b + c), max, exp, sum,
// largest, first_lane, keep (zero elsewhere), prefer (another elsewhere); load_as and half_of, which read pages; kQueries, the most
// queries of a tile; wide and wide_blend, how many vectors of keys or values a tile takes at once. Where kHasDot:
// Pairs of bf16, load_pairs, set_pair and dot, which multiply them, and round, which makes them.

// Up to Ops::kQueries queries of one key/value head and what they have summed so far: page by page with a running maximum.
// Every lane and every sum has one order, whatever queries come together: a key outside a query's own gets the weight zero.
template <class Ops, DType kType, int kQueries>
class Tile {
  using Vector = typename Ops::Vector;
  using Mask = typename Ops::Mask;
  static constexpr int kLanes = Ops::kLanes;
  static constexpr bool kPairs = kType == DType::bf16;       // two elements lie together
  static constexpr bool kDot = kPairs && Ops::kHasDot;       // and are multiplied together
  static constexpr int kScoreWide = Ops::wide(kQueries, kType), kBlendWide = Ops::wide_blend(kQueries);

 public:
  Tile(const PagedCall& call, int64_t kv, int64_t first_query)
      : dim_(call.shape.head_dim), tokens_(call.layout.tokens), scale_(call.shape.scale) {
    thread_local std::vector<float> queries;
    thread_local std::vector<uint32_t> query_pairs;
    const int64_t padded = (dim_ + 2 * kLanes - 1) / (2 * kLanes) * 2 * kLanes;
    queries.assign(static_cast<size_t>(kDot ? padded : (dim_ + 1) / 2 * 2 * kQueries), 0.0f);
    query_pairs.resize(static_cast<size_t>(kDot ? padded / 2 * kQueries : 0));
    q_ = queries.data();
    q_pairs_ = query_pairs.data();
    pairs_apart_ = padded / 2;
    for (int i = 0; i < kQueries; ++i) {
      const int64_t query = first_query + i, row = query / call.group(), head = kv * call.group() + query % call.group();
      const float* q = call.q.row(row) + head * dim_;
      if constexpr (kDot) {
        std::copy_n(q, dim_, queries.data());
        for (int64_t d = 0; d < padded; d += 2 * kLanes) Ops::round(q_ + d, query_pairs.data() + i * pairs_apart_ + d / 2);
      } else {
        for (int64_t d = 0; d < dim_; ++d) queries[static_cast<size_t>(d * kQueries + i)] = q[d];
      }
      out_[i] = call.out.row(row) + head * dim_;
      keys_[i] = call.keys(row);
      top_[i] = -std::numeric_limits<float>::infinity();
      totals_[i] = Ops::zero();
      std::fill_n(out_[i], dim_, 0.0f);
      longest_ = std::max(longest_, keys_[i]);
    }
  }

  void run(const PagedCall& call, int64_t kv) {
    for (int64_t first = 0; first < longest_; first += tokens_) {
      const int64_t page = first / tokens_, seen = std::min(tokens_, longest_ - first);
      take(call.page_keys(page, kv), call.page_values(page, kv), first, seen);
    }
    for (int i = 0; i < kQueries; ++i) {
      const float scale = 1.0f / Ops::sum(totals_[i]);
      for (int64_t d = 0; d < dim_; ++d) out_[i][d] *= scale;
    }
  }

 private:
  // The first `seen` keys of a page, whose first token is `first`.
  void take(const std::byte* keys, const std::byte* values, int64_t first, int64_t seen) {
    int64_t s = 0;
    for (; s + kLanes * kScoreWide <= tokens_ && s < seen; s += kLanes * kScoreWide) score<kScoreWide>(keys, s);
    for (; s < seen; s += 16) score<16 / kLanes>(keys, s);
    for (int i = 0; i < kQueries; ++i) weigh(i, std::clamp<int64_t>(keys_[i] - first, 0, seen), seen);
    int64_t d = 0;
    for (; d + kLanes * (kBlendWide - 1) < dim_; d += kLanes * kBlendWide) blend<kBlendWide>(values, d, seen);
    for (; d < dim_; d += kLanes) blend<1>(values, d, seen);
  }

  // Scores of the keys [s, s + kLanes kVectors) of a page. A function of its own, as its loop needs the registers.
  template <int kVectors>
  [[gnu::noinline]] void score(const std::byte* keys, int64_t s) {
    Vector sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = Ops::zero();
    }
    const auto add = [&](int64_t d, auto load) __attribute__((always_inline)) {
      Vector key[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) key[j] = load(j);
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const Vector query = Ops::set(q_[d * kQueries + i]);
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = Ops::fma(query, key[j], sums[i][j]);
      }
    };
    if constexpr (kDot) {
      for (int64_t p = 0; p < (dim_ + 1) / 2; ++p) {
        add_pairs(sums, keys, p * tokens_ + s, Ops::all(), q_pairs_ + p, pairs_apart_);
      }
    } else if constexpr (kPairs) {
      for (int64_t p = 0; p < (dim_ + 1) / 2; ++p) {
        add(2 * p, [&](int j) { return Ops::template half_of<0>(keys, p * tokens_ + s + kLanes * j, Ops::all()); });
        add(2 * p + 1, [&](int j) { return Ops::template half_of<1>(keys, p * tokens_ + s + kLanes * j, Ops::all()); });
      }
    } else if constexpr (kType == DType::q8_0) {
      const std::byte* scales = keys + dim_ * tokens_;
      for (int64_t from = 0; from < dim_; from += PageLayout::kBlock) {
        Vector scale[kVectors];
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          scale[j] = Ops::template load_as<DType::bf16>(scales, from / PageLayout::kBlock * tokens_ + s + kLanes * j, Ops::all());
        }
        for (int64_t d = from; d < std::min(from + PageLayout::kBlock, dim_); ++d) {
          add(d, [&](int j) { return Ops::mul(Ops::template load_as<kType>(keys, d * tokens_ + s + kLanes * j, Ops::all()), scale[j]); });
        }
      }
    } else {
      for (int64_t d = 0; d < dim_; ++d) {
        add(d, [&](int j) { return Ops::template load_as<kType>(keys, d * tokens_ + s + kLanes * j, Ops::all()); });
      }
    }
    const Vector factor = Ops::set(scale_);
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) Ops::store(scores_[i] + s + kLanes * j, Ops::mul(sums[i][j], factor));
    }
  }

  // Scores of query i become weights; `count` of the page's `seen` keys are its own.
  void weigh(int i, int64_t count, int64_t seen) {
    shrink_[i] = 1.0f;
    if (count > 0) {
      Vector most = Ops::set(-std::numeric_limits<float>::infinity());
      for (int64_t s = 0; s < count; s += kLanes) {
        most = Ops::max(most, Ops::prefer(Ops::first(count - s), Ops::load(scores_[i] + s), most));
      }
      const float larger = std::max(top_[i], Ops::largest(most));
      shrink_[i] = Ops::first_lane(Ops::exp(Ops::set(top_[i] - larger)));
      top_[i] = larger;
      totals_[i] = Ops::mul(totals_[i], Ops::set(shrink_[i]));
    }
    const Vector top = Ops::set(top_[i]);
    for (int64_t s = 0; s < seen; s += kLanes) {
      const Vector weight = Ops::keep(Ops::first(count - s), Ops::exp(Ops::sub(Ops::load(scores_[i] + s), top)));
      totals_[i] = Ops::add(totals_[i], weight);
      Ops::store(scores_[i] + s, weight);
    }
    if constexpr (kDot) {
      for (int64_t s = (seen + kLanes - 1) / kLanes * kLanes; s % (2 * kLanes) != 0; s += kLanes) Ops::store(scores_[i] + s, Ops::zero());
      for (int64_t s = 0; s < seen; s += 2 * kLanes) Ops::round(scores_[i] + s, weight_pairs_[i] + s / 2);
    }
  }

  // out[d, d + kLanes kVectors) of every query: shrunk, and the page's weighted values added. The last vector may be cut.
  template <int kVectors>
  [[gnu::noinline]] void blend(const std::byte* values, int64_t d, int64_t seen) {
    Mask own[kVectors];
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) own[j] = j + 1 < kVectors ? Ops::all() : Ops::first(dim_ - d - kLanes * j);
    Vector sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = Ops::mul(Ops::load(out_[i] + d + kLanes * j, own[j]), Ops::set(shrink_[i]));
    }
    const auto add = [&](int64_t s, auto load) __attribute__((always_inline)) {
      Vector value[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) value[j] = load(j);
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const Vector weight = Ops::set(scores_[i][s]);
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = Ops::fma(weight, value[j], sums[i][j]);
      }
    };
    if constexpr (kDot) {
      for (int64_t p = 0; p < (seen + 1) / 2; ++p) {
        add_pairs(sums, values, p * dim_ + d, own[kVectors - 1], weight_pairs_[0] + p, PageLayout::kMaxTokens / 2);
      }
    } else if constexpr (kPairs) {
      for (int64_t s = 0; s < seen; ++s) {
        const int64_t at = s / 2 * dim_ + d;
        add(s, [&](int j) { return Ops::template half_of<0>(values, at + kLanes * j, own[j]); });
        if (++s < seen) add(s, [&](int j) { return Ops::template half_of<1>(values, at + kLanes * j, own[j]); });
      }
    } else {
      const auto* scales = reinterpret_cast<const uint16_t*>(values + dim_ * tokens_);  // q8_0
      for (int64_t s = 0; s < seen; ++s) {
        add(s, [&](int j) {
          const Vector value = Ops::template load_as<kType>(values, s * dim_ + d + kLanes * j, own[j]);
          if constexpr (kType != DType::q8_0) return value;
          return Ops::mul(value, Ops::set(tensor::bf16_to_f32(scales[(d + kLanes * j) / PageLayout::kBlock * tokens_ + s])));
        });
      }
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) Ops::store(out_[i] + d + kLanes * j, sums[i][j], own[j]);
    }
  }

  // sums of every query i += the pairs of bf16 from `at` on times pair i of `of_queries`. The last vector may be cut.
  template <int kVectors>
  CALLIOPE_INLINE static void add_pairs(Vector (&sums)[kQueries][kVectors], const std::byte* page, int64_t at, const Mask& last,
                                        const uint32_t* of_queries, int64_t apart) {
    typename Ops::Pairs pairs[kVectors];
    CALLIOPE_UNROLL
    for (int j = 0; j < kVectors; ++j) pairs[j] = Ops::load_pairs(page, at + kLanes * j, j + 1 < kVectors ? Ops::all() : last);
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      const auto pair = Ops::set_pair(of_queries[i * apart]);
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) sums[i][j] = Ops::dot(sums[i][j], pairs[j], pair);
    }
  }

  int64_t dim_, tokens_, longest_ = 0;
  float scale_;
  const float* q_ = nullptr;           // [dim, made even, kQueries]
  const uint32_t* q_pairs_ = nullptr;  // kDot: [kQueries, pairs_apart_]
  int64_t pairs_apart_ = 0;
  float* out_[kQueries];
  int64_t keys_[kQueries];
  float top_[kQueries], shrink_[kQueries];
  Vector totals_[kQueries];
  alignas(64) float scores_[kQueries][PageLayout::kMaxTokens];
  alignas(64) uint32_t weight_pairs_[kQueries][PageLayout::kMaxTokens / 2];  // kDot
};

template <class Ops, DType kType, int kQueries>
void attend_tile(const PagedCall& call, int64_t kv, int64_t first_query) {
  Tile<Ops, kType, kQueries>(call, kv, first_query).run(call, kv);
}

// Full tiles of queries, and one of what is left.
template <class Ops, DType kType, int kQueries = Ops::kQueries>
void attend_all(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  for (; begin + kQueries <= end; begin += kQueries) attend_tile<Ops, kType, kQueries>(call, kv, begin);
  if constexpr (kQueries > 1) {
    if (begin < end) attend_all<Ops, kType, kQueries - 1>(call, kv, begin, end);
  }
}

template <class Ops>
void paged_queries(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  switch (call.layout.dtype) {
    case DType::bf16: return attend_all<Ops, DType::bf16>(call, kv, begin, end);
    case DType::q8_0: return attend_all<Ops, DType::q8_0>(call, kv, begin, end);
    default: return attend_all<Ops, DType::f32>(call, kv, begin, end);
  }
}

}  // namespace
}  // namespace calliope::kernels::detail
