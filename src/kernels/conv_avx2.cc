#include "kernels/conv_internal.h"

#if defined(__AVX2__)
#include <algorithm>

#include "kernels/unroll.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

constexpr int64_t kPanel = PackedWeight::kPanel;
// Inner products are cut into runs of this length, so that a panel's part (24 KiB) stays in L1 while windows pass by.
constexpr int64_t kRun = 384;

// to[i] = base[i] + sums[i] for the first `count` lanes.
void add_store(float* to, const float* base, __m256 sums, int64_t count) {
  if (count >= 8) return _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(base), sums));
  if (count <= 0) return;
  const __m256i mask = first_lanes(count);
  _mm256_maskstore_ps(to, mask, _mm256_add_ps(_mm256_maskload_ps(base, mask), sums));
}

// kRows windows x kPanels panels over inner indices [begin, end): one chain of sums each, in the order of k, whatever
// the shape of the tile, added to the bias in the first run and to what y holds in the others.
template <int kRows, int kPanels>
void tile(const Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, int64_t panel, int64_t begin,
          int64_t end) {
  __m256 sums[kRows][kPanels][2];
  CALLIOPE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    CALLIOPE_UNROLL
    for (int p = 0; p < kPanels; ++p) sums[r][p][0] = sums[r][p][1] = _mm256_setzero_ps();
  }
  const float* weights = w.panel(panel) + begin * kPanel;
  const int64_t panel_stride = w.inner() * kPanel, stride = x.stride;
  for (int64_t k = begin; k < end;) {
    const int64_t tap = k / x.cols, i = k % x.cols, count = std::min(end - k, x.cols - i);
    const float* run = x.data + row * stride + tap * x.tap_stride + i;
    for (int64_t j = 0; j < count; ++j, weights += kPanel) {
      __m256 factors[kPanels][2];
      CALLIOPE_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        factors[p][0] = _mm256_loadu_ps(weights + p * panel_stride);
        factors[p][1] = _mm256_loadu_ps(weights + p * panel_stride + 8);
      }
      CALLIOPE_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const __m256 value = _mm256_broadcast_ss(run + r * stride + j);
        CALLIOPE_UNROLL
        for (int p = 0; p < kPanels; ++p) {
          sums[r][p][0] = _mm256_fmadd_ps(value, factors[p][0], sums[r][p][0]);
          sums[r][p][1] = _mm256_fmadd_ps(value, factors[p][1], sums[r][p][1]);
        }
      }
    }
    k += count;
  }
  CALLIOPE_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    const int64_t first = (panel + p) * kPanel, count = w.out() - first;
    CALLIOPE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float* to = y.row(row + r) + first;
      const float* base = begin == 0 ? w.bias() + first : to;
      add_store(to, base, sums[r][p][0], count);
      add_store(to + 8, base + 8, sums[r][p][1], count - 8);
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

void conv_slice_avx2(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  const int64_t full = range.row_begin + (range.row_end - range.row_begin) / 6 * 6;
  for (int64_t begin = 0; begin < w.inner(); begin += kRun) {
    const int64_t end = std::min(begin + kRun, w.inner());
    for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
      for (int64_t row = range.row_begin; row < full; row += 6) tile<6, 1>(x, w, y, row, panel, begin, end);
    }
  }
  switch (range.row_end - full) {
    case 1: return row_tiles<1, 4>(x, w, y, full, range);
    case 2: return row_tiles<2, 2>(x, w, y, full, range);
    case 3: return row_tiles<3, 2>(x, w, y, full, range);
    case 4: return row_tiles<4, 1>(x, w, y, full, range);
    case 5: return row_tiles<5, 1>(x, w, y, full, range);
    default: return;
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_slice_avx2(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_slice_plain(x, w, y, range);
}
}  // namespace calliope::kernels::detail
#endif
