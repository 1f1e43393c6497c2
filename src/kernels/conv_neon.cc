#include "kernels/conv_internal.h"

#if defined(__aarch64__)
#include <algorithm>

#include "kernels/unroll.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

constexpr int64_t kPanel = PackedWeight::kPanel;
// As conv_avx2.cc: inner products are cut into runs, so that a panel's part (24 KiB) stays in L1 while windows pass by.
constexpr int64_t kRun = 384;

// kRows windows of one panel over inner indices [begin, end): one chain of sums each, in the order of k, whatever the
// shape of the tile, added to the bias in the first run and to what y holds in the others.
template <int kRows>
void tile(const Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, int64_t panel, int64_t begin, int64_t end) {
  float32x4_t sums[kRows][4];
  CALLIOPE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    CALLIOPE_UNROLL
    for (int v = 0; v < 4; ++v) sums[r][v] = vdupq_n_f32(0.0f);
  }
  const float* weights = w.panel(panel) + begin * kPanel;
  for (int64_t k = begin; k < end;) {
    const int64_t tap = k / x.cols, i = k % x.cols, count = std::min(end - k, x.cols - i);
    const float* run = x.data + row * x.stride + tap * x.tap_stride + i;
    for (int64_t j = 0; j < count; ++j, weights += kPanel) {
      float32x4_t factors[4];
      CALLIOPE_UNROLL
      for (int v = 0; v < 4; ++v) factors[v] = vld1q_f32(weights + 4 * v);
      CALLIOPE_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const float32x4_t value = vld1q_dup_f32(run + r * x.stride + j);
        CALLIOPE_UNROLL
        for (int v = 0; v < 4; ++v) sums[r][v] = vfmaq_f32(sums[r][v], value, factors[v]);
      }
    }
    k += count;
  }
  const int64_t first = panel * kPanel;
  CALLIOPE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float* to = y.row(row + r) + first;
    CALLIOPE_UNROLL
    for (int v = 0; v < 4; ++v) {
      const int64_t count = w.out() - first - 4 * v;
      const float32x4_t base = load_first_neon((begin == 0 ? w.bias() + first : to) + 4 * v, count);
      store_first_neon(to + 4 * v, vaddq_f32(base, sums[r][v]), count);
    }
  }
}

template <int kRows>
void tiles(const Windows& x, const PackedWeight& w, tensor::Rows y, int64_t begin, int64_t end, const ConvRange& range) {
  for (int64_t first = 0; first < w.inner(); first += kRun) {
    const int64_t last = std::min(first + kRun, w.inner());
    for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
      for (int64_t row = begin; row < end; row += kRows) tile<kRows>(x, w, y, row, panel, first, last);
    }
  }
}

}  // namespace

void conv_slice_neon(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  const int64_t full = range.row_begin + (range.row_end - range.row_begin) / 6 * 6;
  tiles<6>(x, w, y, range.row_begin, full, range);
  switch (range.row_end - full) {
    case 1: return tiles<1>(x, w, y, full, range.row_end, range);
    case 2: return tiles<2>(x, w, y, full, range.row_end, range);
    case 3: return tiles<3>(x, w, y, full, range.row_end, range);
    case 4: return tiles<4>(x, w, y, full, range.row_end, range);
    case 5: return tiles<5>(x, w, y, full, range.row_end, range);
    default: return;
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_slice_neon(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_slice_plain(x, w, y, range);
}
}  // namespace calliope::kernels::detail
#endif
