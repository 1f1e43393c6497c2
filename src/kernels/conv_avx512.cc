#include "kernels/conv_internal.h"

#if defined(__AVX512F__)
#include <algorithm>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

constexpr int64_t kPanel = PackedWeight::kPanel;
// As conv_avx2.cc: inner products are cut into runs, so that a panel's part (24 KiB) stays in L1 while windows pass by.
constexpr int64_t kRun = 384;

// kRows windows x kPanels panels over inner indices [begin, end): one chain of sums each, in the order of k, whatever
// the shape of the tile, added to the bias in the first run and to what y holds in the others.
template <int kRows, int kPanels>
void tile(const Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, int64_t panel, int64_t begin,
          int64_t end) {
  __m512 sums[kRows][kPanels];
  CALLIOPE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    CALLIOPE_UNROLL
    for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_setzero_ps();
  }
  const float* weights = w.panel(panel) + begin * kPanel;
  const int64_t panel_stride = w.inner() * kPanel, stride = x.stride;
  for (int64_t k = begin; k < end;) {
    const int64_t tap = k / x.cols, i = k % x.cols, count = std::min(end - k, x.cols - i);
    // Every fourth window has a pointer; the others are one, two and three strides from it.
    const float* runs[(kRows + 3) / 4];
    CALLIOPE_UNROLL
    for (int r = 0; r < (kRows + 3) / 4; ++r) runs[r] = x.data + (row + 4 * r) * stride + tap * x.tap_stride + i;
    const int64_t stride3 = 3 * stride;
    for (int64_t j = 0; j < count; ++j, weights += kPanel) {
      __m512 factors[kPanels];
      CALLIOPE_UNROLL
      for (int p = 0; p < kPanels; ++p) factors[p] = _mm512_loadu_ps(weights + p * panel_stride);
      CALLIOPE_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const float* from = runs[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride);
        const __m512 value = _mm512_set1_ps(*from);
        CALLIOPE_UNROLL
        for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_fmadd_ps(value, factors[p], sums[r][p]);
      }
      CALLIOPE_UNROLL
      for (int r = 0; r < (kRows + 3) / 4; ++r) ++runs[r];
    }
    k += count;
  }
  CALLIOPE_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    const int64_t first = (panel + p) * kPanel;
    const __mmask16 lanes = first_lanes_avx512(w.out() - first);
    CALLIOPE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float* to = y.row(row + r) + first;
      const float* base = begin == 0 ? w.bias() + first : to;
      _mm512_mask_storeu_ps(to, lanes, _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, base), sums[r][p]));
    }
  }
}

template <int kRows, int kPanels>
void row_tiles(const Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, const ConvRange& range) {
  for (int64_t begin = 0; begin < w.inner(); begin += kRun) {
    const int64_t end = std::min(begin + kRun, w.inner());
    int64_t panel = range.panel_begin;
    for (; panel + kPanels <= range.panel_end; panel += kPanels) tile<kRows, kPanels>(x, w, y, row, panel, begin, end);
    for (; panel < range.panel_end; ++panel) tile<kRows, 1>(x, w, y, row, panel, begin, end);
  }
}

}  // namespace

void conv_slice_avx512(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  const int64_t full = range.row_begin + (range.row_end - range.row_begin) / 12 * 12;
  for (int64_t begin = 0; begin < w.inner(); begin += kRun) {
    const int64_t end = std::min(begin + kRun, w.inner());
    for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
      for (int64_t row = range.row_begin; row < full; row += 12) tile<12, 1>(x, w, y, row, panel, begin, end);
    }
  }
  switch (range.row_end - full) {
    case 1: return row_tiles<1, 4>(x, w, y, full, range);
    case 2: return row_tiles<2, 4>(x, w, y, full, range);
    case 3: return row_tiles<3, 4>(x, w, y, full, range);
    case 4: return row_tiles<4, 4>(x, w, y, full, range);
    case 5: return row_tiles<5, 2>(x, w, y, full, range);
    case 6: return row_tiles<6, 2>(x, w, y, full, range);
    case 7: return row_tiles<7, 2>(x, w, y, full, range);
    case 8: return row_tiles<8, 2>(x, w, y, full, range);
    case 9: return row_tiles<9, 1>(x, w, y, full, range);
    case 10: return row_tiles<10, 1>(x, w, y, full, range);
    case 11: return row_tiles<11, 1>(x, w, y, full, range);
    default: return;
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_slice_avx512(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_slice_plain(x, w, y, range);
}
}  // namespace calliope::kernels::detail
#endif
