#include "kernels/paged_attention_internal.h"

#if defined(__aarch64__)
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/unroll.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

using tensor::DType;

template <DType kType>
constexpr size_t kSize = kType == DType::q8_0 ? 1 : tensor::size_of(kType);

// Element i and the three after it, as f32; q8_0 without its scale.
template <DType kType>
float32x4_t load(const std::byte* from, int64_t i) {
  from += static_cast<size_t>(i) * kSize<kType>;
  if constexpr (kType == DType::f32) return vld1q_f32(reinterpret_cast<const float*>(from));
  if constexpr (kType == DType::bf16) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const uint16_t*>(from)), 16));
  }
  int32_t four;
  std::memcpy(&four, from, 4);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

// Element i and the `count` - 1 < 3 after it, zeros behind.
template <DType kType>
float32x4_t load_first(const std::byte* from, int64_t i, int64_t count) {
  alignas(16) std::byte padded[16] = {};
  std::memcpy(padded, from + static_cast<size_t>(i) * kSize<kType>, static_cast<size_t>(count) * kSize<kType>);
  return load<kType>(padded, 0);
}

// Of four pairs of bf16 from pair i on, the first or the second of each.
template <int kHalf>
float32x4_t half_of(const std::byte* from, int64_t i) {
  const uint32x4_t pairs = vld1q_u32(reinterpret_cast<const uint32_t*>(from) + i);
  return vreinterpretq_f32_u32(kHalf == 0 ? vshlq_n_u32(pairs, 16) : vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}

// Of `count` pairs, at most four; zeros behind.
template <int kHalf>
float32x4_t first_halves(const std::byte* from, int64_t i, int64_t count) {
  if (count == 4) return half_of<kHalf>(from, i);
  alignas(16) std::byte padded[16] = {};
  std::memcpy(padded, from + 4 * i, static_cast<size_t>(4 * count));
  return half_of<kHalf>(padded, 0);
}

// As in paged_attention_avx2.cc: up to four queries of one key/value head, page by page with a running maximum; every lane
// and every sum has one order, whatever queries come together.
template <DType kType, int kQueries>
struct Tile {
  int64_t dim = 0, tokens = 0;
  const float* q[kQueries] = {};
  float* out[kQueries] = {};
  int64_t keys[kQueries] = {};
  float top[kQueries] = {}, shrink[kQueries] = {};
  float32x4_t totals[kQueries];
  alignas(16) float scores[kQueries][PageLayout::kMaxTokens];

  // Scores of the keys [s, s + 16) of a page.
  void score(const std::byte* page_keys, int64_t s, float scale) {
    float32x4_t sums[kQueries][4];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < 4; ++j) sums[i][j] = vdupq_n_f32(0.0f);
    }
    for (int64_t from = 0, to = 0; from < dim; from = to) {
      to = kType == DType::q8_0 ? std::min(from + PageLayout::kBlock, dim) : dim;
      float32x4_t scales[4];
      if constexpr (kType == DType::q8_0) {
        CALLIOPE_UNROLL
        for (int j = 0; j < 4; ++j) {
          scales[j] = load<DType::bf16>(page_keys + dim * tokens, from / PageLayout::kBlock * tokens + s + 4 * j);
        }
      }
      const auto add = [&](int64_t d, auto load_keys) __attribute__((always_inline)) {
        float32x4_t key[4];
        CALLIOPE_UNROLL
        for (int j = 0; j < 4; ++j) {
          key[j] = load_keys(s + 4 * j);
          if constexpr (kType == DType::q8_0) key[j] = vmulq_f32(key[j], scales[j]);
        }
        CALLIOPE_UNROLL
        for (int i = 0; i < kQueries; ++i) {
          const float32x4_t query = vld1q_dup_f32(q[i] + d);
          CALLIOPE_UNROLL
          for (int j = 0; j < 4; ++j) sums[i][j] = vfmaq_f32(sums[i][j], query, key[j]);
        }
      };
      for (int64_t d = from; d < to; ++d) {
        if constexpr (kType == DType::bf16) {
          add(d, [&](int64_t at) { return half_of<0>(page_keys, d / 2 * tokens + at); });
          if (++d < to) add(d, [&](int64_t at) { return half_of<1>(page_keys, d / 2 * tokens + at); });
        } else {
          add(d, [&](int64_t at) { return load<kType>(page_keys, d * tokens + at); });
        }
      }
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < 4; ++j) vst1q_f32(scores[i] + s + 4 * j, vmulq_n_f32(sums[i][j], scale));
    }
  }

  // Scores of query i become weights; `count` of the page's `seen` keys are its own.
  void weigh(int i, int64_t count, int64_t seen) {
    shrink[i] = 1.0f;
    if (count > 0) {
      const float32x4_t lowest = vdupq_n_f32(-std::numeric_limits<float>::infinity());
      float32x4_t most = lowest;
      for (int64_t s = 0; s < count; s += 4) {
        most = vmaxq_f32(most, vbslq_f32(first_lanes_neon(count - s), vld1q_f32(scores[i] + s), lowest));
      }
      const float larger = std::max(top[i], vmaxvq_f32(most));
      shrink[i] = vgetq_lane_f32(exp_neon(vdupq_n_f32(top[i] - larger)), 0);
      top[i] = larger;
      totals[i] = vmulq_n_f32(totals[i], shrink[i]);
    }
    for (int64_t s = 0; s < seen; s += 4) {
      const float32x4_t e = exp_neon(vsubq_f32(vld1q_f32(scores[i] + s), vdupq_n_f32(top[i])));
      const float32x4_t weight = keep_neon(first_lanes_neon(count - s), e);
      totals[i] = vaddq_f32(totals[i], weight);
      vst1q_f32(scores[i] + s, weight);
    }
  }

  // out[d, d + 4 kVectors) of every query: shrunk, and the page's weighted values added. The last vector may be cut.
  template <int kVectors>
  void blend(const std::byte* page_values, int64_t d, int64_t seen) {
    const int64_t last = std::min<int64_t>(4, dim - d - 4 * (kVectors - 1));
    const auto* scales = reinterpret_cast<const uint16_t*>(page_values + dim * tokens) + d / PageLayout::kBlock * tokens;
    float32x4_t sums[kQueries][kVectors];
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        sums[i][j] = vmulq_n_f32(load_first_neon(out[i] + d + 4 * j, j + 1 < kVectors ? 4 : last), shrink[i]);
      }
    }
    const auto add = [&](int64_t s, auto load_values) __attribute__((always_inline)) {
      float32x4_t values[kVectors];
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        values[j] = load_values(d + 4 * j, j + 1 < kVectors ? 4 : last);
        if constexpr (kType == DType::q8_0) values[j] = vmulq_n_f32(values[j], tensor::bf16_to_f32(scales[s]));
      }
      CALLIOPE_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        CALLIOPE_UNROLL
        for (int j = 0; j < kVectors; ++j) sums[i][j] = vfmaq_n_f32(sums[i][j], values[j], scores[i][s]);
      }
    };
    for (int64_t s = 0; s < seen; ++s) {
      if constexpr (kType == DType::bf16) {
        const std::byte* pairs = page_values + static_cast<size_t>(s / 2 * dim) * sizeof(uint32_t);
        add(s, [&](int64_t at, int64_t count) { return first_halves<0>(pairs, at, count); });
        if (++s < seen) add(s, [&](int64_t at, int64_t count) { return first_halves<1>(pairs, at, count); });
      } else {
        add(s, [&](int64_t at, int64_t count) {
          return count == 4 ? load<kType>(page_values, s * dim + at) : load_first<kType>(page_values, s * dim + at, count);
        });
      }
    }
    CALLIOPE_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      CALLIOPE_UNROLL
      for (int j = 0; j < kVectors; ++j) store_first_neon(out[i] + d + 4 * j, sums[i][j], j + 1 < kVectors ? 4 : last);
    }
  }

  // `seen` keys of a page.
  void take(const std::byte* page_keys, const std::byte* page_values, int64_t first, int64_t seen, float scale) {
    for (int64_t s = 0; s < seen; s += 16) score(page_keys, s, scale);
    for (int i = 0; i < kQueries; ++i) weigh(i, std::clamp<int64_t>(keys[i] - first, 0, seen), seen);
    int64_t d = 0;
    for (; d + 16 <= dim; d += 16) blend<4>(page_values, d, seen);
    for (; d < dim; d += 4) blend<1>(page_values, d, seen);
  }
};

template <DType kType, int kQueries>
void attend(const PagedCall& call, int64_t kv, int64_t first_query) {
  Tile<kType, kQueries> tile;
  tile.dim = call.shape.head_dim;
  tile.tokens = call.layout.tokens;
  int64_t longest = 0;
  for (int i = 0; i < kQueries; ++i) {
    const int64_t row = (first_query + i) / call.group(), head = kv * call.group() + (first_query + i) % call.group();
    tile.q[i] = call.q.row(row) + head * tile.dim;
    tile.out[i] = call.out.row(row) + head * tile.dim;
    tile.keys[i] = call.keys(row);
    tile.top[i] = -std::numeric_limits<float>::infinity();
    tile.totals[i] = vdupq_n_f32(0.0f);
    std::fill_n(tile.out[i], tile.dim, 0.0f);
    longest = std::max(longest, tile.keys[i]);
  }
  for (int64_t first = 0; first < longest; first += tile.tokens) {
    const int64_t page = first / tile.tokens, seen = std::min(tile.tokens, longest - first);
    tile.take(call.page_keys(page, kv), call.page_values(page, kv), first, seen, call.shape.scale);
  }
  for (int i = 0; i < kQueries; ++i) {
    const float scale = 1.0f / sum_neon(tile.totals[i]);
    for (int64_t d = 0; d < tile.dim; ++d) tile.out[i][d] *= scale;
  }
}

template <DType kType>
void attend_all(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  for (; begin + 4 <= end; begin += 4) attend<kType, 4>(call, kv, begin);
  switch (end - begin) {
    case 3: return attend<kType, 3>(call, kv, begin);
    case 2: return attend<kType, 2>(call, kv, begin);
    case 1: return attend<kType, 1>(call, kv, begin);
    default: return;
  }
}

}  // namespace

void paged_queries_neon(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  if (call.layout.dtype == DType::bf16) return attend_all<DType::bf16>(call, kv, begin, end);
  if (call.layout.dtype == DType::q8_0) return attend_all<DType::q8_0>(call, kv, begin, end);
  attend_all<DType::f32>(call, kv, begin, end);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void paged_queries_neon(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  paged_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
