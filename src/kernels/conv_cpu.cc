#include "kernels/conv_internal.h"

#include <algorithm>

namespace calliope::kernels::detail {

// One window and one panel at a time, 16 sums side by side.
void conv_slice_plain(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  constexpr int64_t kPanel = PackedWeight::kPanel;
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    const int64_t first = panel * kPanel, count = std::min(kPanel, w.out() - first);
    for (int64_t r = range.row_begin; r < range.row_end; ++r) {
      float sums[kPanel];
      std::copy_n(w.bias() + first, kPanel, sums);
      const float* weights = w.panel(panel);
      for (int64_t tap = 0; tap < x.taps; ++tap) {
        const float* run = x.data + r * x.stride + tap * x.tap_stride;
        for (int64_t i = 0; i < x.cols; ++i, weights += kPanel) {
          for (int64_t o = 0; o < kPanel; ++o) sums[o] += run[i] * weights[o];
        }
      }
      std::copy_n(sums, count, y.row(r) + first);
    }
  }
}

}  // namespace calliope::kernels::detail
