#include <algorithm>
#include <cmath>

#include "kernels/conv_bf16_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels::detail {

void conv_bf16_slice_plain(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  using tensor::bf16_to_f32;
  constexpr int64_t kPanel = PackedWeight::kPanel;
  for (int64_t row = range.row_begin; row < range.row_end; ++row) {
    for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
      float sums[kPanel];
      std::copy_n(w.bias() + panel * kPanel, kPanel, sums);
      const uint32_t* weights = w.bf16_panel(panel);
      for (int64_t tap = 0; tap < x.taps; ++tap) {
        const uint16_t* run = x.data + row * x.stride + tap * x.tap_stride;
        for (int64_t j = 0; j < x.cols; j += 2, weights += kPanel) {
          const float even = bf16_to_f32(run[j]), odd = bf16_to_f32(run[j + 1]);
          for (int64_t o = 0; o < kPanel; ++o) {
            sums[o] = std::fma(odd, bf16_to_f32(static_cast<uint16_t>(weights[o] >> 16)), sums[o]);
            sums[o] = std::fma(even, bf16_to_f32(static_cast<uint16_t>(weights[o])), sums[o]);
          }
        }
      }
      std::copy_n(sums, std::min(kPanel, y.cols - panel * kPanel), y.row(row) + panel * kPanel);
    }
  }
}

void round_to_bf16_plain(const float* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    const bool tiny = (__builtin_bit_cast(uint32_t, from[i]) & 0x7f800000) == 0;
    to[i] = tiny ? uint16_t{0} : tensor::f32_to_bf16(from[i]);
  }
}

RoundToBf16 round_to_bf16() {
  return choose<RoundToBf16>(round_to_bf16_plain, round_to_bf16_avx2, round_to_bf16_avx512, round_to_bf16_neon);
}

}  // namespace calliope::kernels::detail
