#pragma once

// The loops of conv with bf16 weights, for the files that compile them for an instruction set. `Ops` has a Sum of kLanes
// floats, and weights and inputs as vectors of pairs.

#include <algorithm>

#include "kernels/conv_bf16_internal.h"
#include "kernels/unroll.h"

namespace calliope::kernels::detail {

// kRows windows x kPanels panels over all inputs.
template <class Ops, int kRows, int kPanels>
void conv_bf16_tile(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, int64_t panel) {
  constexpr int64_t kPanel = PackedWeight::kPanel;
  constexpr int kVectors = static_cast<int>(kPanel) / Ops::kLanes, kSums = kPanels * kVectors;
  typename Ops::Sum sums[kRows][kSums];
  CALLIOPE_UNROLL
  for (int v = 0; v < kSums; ++v) {
    const auto bias = Ops::load(w.bias() + panel * kPanel + v * Ops::kLanes);
    CALLIOPE_UNROLL
    for (int r = 0; r < kRows; ++r) sums[r][v] = bias;
  }
  const uint32_t* weights[kPanels];
  CALLIOPE_UNROLL
  for (int p = 0; p < kPanels; ++p) weights[p] = w.bf16_panel(panel + p);
  const int64_t stride = x.stride, stride3 = 3 * stride;
  for (int64_t tap = 0; tap < x.taps; ++tap) {
    // Every fourth window has a pointer; the others are one, two and three strides from it.
    const uint16_t* runs[(kRows + 3) / 4];
    CALLIOPE_UNROLL
    for (int r = 0; r < (kRows + 3) / 4; ++r) runs[r] = x.data + (row + 4 * r) * stride + tap * x.tap_stride;
    for (int64_t j = 0; j < x.cols; j += 2) {
      typename Ops::Weights factors[kSums];
      CALLIOPE_UNROLL
      for (int v = 0; v < kSums; ++v) factors[v] = Ops::weights(weights[v / kVectors] + v % kVectors * Ops::kLanes);
      CALLIOPE_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const auto pair = Ops::pair(runs[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride));
        CALLIOPE_UNROLL
        for (int v = 0; v < kSums; ++v) sums[r][v] = Ops::add(sums[r][v], factors[v], pair);
      }
      CALLIOPE_UNROLL
      for (int p = 0; p < kPanels; ++p) weights[p] += kPanel;
      CALLIOPE_UNROLL
      for (int r = 0; r < (kRows + 3) / 4; ++r) runs[r] += 2;
    }
  }
  CALLIOPE_UNROLL
  for (int v = 0; v < kSums; ++v) {
    const int64_t first = panel * kPanel + v * Ops::kLanes;
    CALLIOPE_UNROLL
    for (int r = 0; r < kRows; ++r) Ops::store(y.row(row + r) + first, sums[r][v], y.cols - first);
  }
}

template <class Ops, int kRows>
void conv_bf16_rows(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, int64_t row, const ConvRange& range) {
  int64_t panel = range.panel_begin;
  for (; panel + Ops::kPanels <= range.panel_end; panel += Ops::kPanels) conv_bf16_tile<Ops, kRows, Ops::kPanels>(x, w, y, row, panel);
  for (; panel < range.panel_end; ++panel) conv_bf16_tile<Ops, kRows, 1>(x, w, y, row, panel);
}

template <class Ops>
void conv_bf16_slice(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  int64_t row = range.row_begin;
  for (; row + Ops::kRows <= range.row_end; row += Ops::kRows) conv_bf16_rows<Ops, Ops::kRows>(x, w, y, row, range);
  for (; row < range.row_end;) {
    const int64_t left = range.row_end - row;
    if constexpr (Ops::kRows > 4) {
      if (left >= 4) {
        conv_bf16_rows<Ops, 4>(x, w, y, row, range);
        row += 4;
        continue;
      }
    }
    if (left >= 2) {
      conv_bf16_rows<Ops, 2>(x, w, y, row, range);
      row += 2;
    } else {
      conv_bf16_rows<Ops, 1>(x, w, y, row++, range);
    }
  }
}

}  // namespace calliope::kernels::detail
