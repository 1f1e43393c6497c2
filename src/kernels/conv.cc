#include "kernels/conv.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/conv_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

int64_t panels_of(int64_t out) { return (out + PackedWeight::kPanel - 1) / PackedWeight::kPanel; }

void check_shapes(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  CHECK(x.inner() == w.inner() && y.rows == x.rows && y.cols == w.out());
}

}  // namespace

PackedWeight::PackedWeight(int64_t inner, int64_t out)
    : inner_(inner), out_(out), panels_({panels_of(out), inner, kPanel}), bias_({panels_of(out) * kPanel}) {}

PackedWeight PackedWeight::conv1d(const tensor::View& weight, const tensor::View& bias) {
  CHECK(weight.shape.rank() == 3);
  const int64_t out = weight.shape[0], in = weight.shape[1], taps = weight.shape[2];
  PackedWeight packed(taps * in, out);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t tap = 0; tap < taps; ++tap) packed.at(tap * in + i, o) = weight.at((o * in + i) * taps + tap);
    }
  }
  if (bias) bias.to_f32({packed.bias_.data(), static_cast<size_t>(out)});
  return packed;
}

PackedWeight PackedWeight::conv2d(const tensor::View& weight, const tensor::View& bias) {
  CHECK(weight.shape.rank() == 4);
  const int64_t out = weight.shape[0], in = weight.shape[1], height = weight.shape[2], width = weight.shape[3];
  PackedWeight packed(width * height * in, out);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t h = 0; h < height; ++h) {
        for (int64_t w = 0; w < width; ++w) {
          packed.at((w * height + h) * in + i, o) = weight.at(((o * in + i) * height + h) * width + w);
        }
      }
    }
  }
  if (bias) bias.to_f32({packed.bias_.data(), static_cast<size_t>(out)});
  return packed;
}

PackedWeight PackedWeight::transposed(const tensor::View& weight, const tensor::View& bias, int64_t stride) {
  CHECK(weight.shape.rank() == 3 && stride > 0 && weight.shape[2] % stride == 0);
  const int64_t in = weight.shape[0], out = weight.shape[1], k = weight.shape[2], taps = k / stride;
  PackedWeight packed(taps * in, stride * out);
  // Input j reaches output steps j * stride .. j * stride + k - 1: the newest tap holds the kernel's beginning.
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t step = 0; step < stride; ++step) {
        for (int64_t o = 0; o < out; ++o) {
          packed.at(tap * in + i, step * out + o) = weight.at((i * out + o) * k + (taps - 1 - tap) * stride + step);
        }
      }
    }
  }
  for (int64_t i = 0; bias && i < stride * out; ++i) packed.bias_.data()[i] = bias.at(i % out);
  return packed;
}

PackedWeight PackedWeight::linear(const tensor::View& weight, const tensor::View& bias) {
  CHECK(weight.shape.rank() == 2);
  return conv1d(weight.reshaped({weight.shape[0], weight.shape[1], 1}), bias);
}

void conv(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  const auto slice = choose<detail::ConvSlice>(detail::conv_slice_plain, detail::conv_slice_avx2, detail::conv_slice_avx512);
  // 96 windows (tiles of 6 or 12) keep a run of weights in L1 for a while; 4 panels are what a tile of one row takes.
  constexpr int64_t kRows = 96, kPanels = 4;
  const int64_t panels = panels_of(w.out());
  const int64_t row_blocks = (x.rows + kRows - 1) / kRows, panel_blocks = (panels + kPanels - 1) / kPanels;
  const int64_t work = std::min(x.rows, kRows) * std::min(panels, kPanels) * PackedWeight::kPanel * x.inner();
  parallel_for(row_blocks * panel_blocks, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, work)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t row = item / panel_blocks * kRows, panel = item % panel_blocks * kPanels;
                   slice(x, w, y,
                         {.row_begin = row,
                          .row_end = std::min(row + kRows, x.rows),
                          .panel_begin = panel,
                          .panel_end = std::min(panel + kPanels, panels)});
                 }
               });
}

void conv_reference(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t o = 0; o < w.out(); ++o) {
      const float* weights = w.panel(o / PackedWeight::kPanel) + o % PackedWeight::kPanel;
      double sum = w.bias()[o];
      for (int64_t k = 0; k < x.inner(); ++k) {
        const double value = x.data[r * x.stride + k / x.cols * x.tap_stride + k % x.cols];
        sum += value * weights[k * PackedWeight::kPanel];
      }
      y.row(r)[o] = static_cast<float>(sum);
    }
  }
}

Windows causal_windows(tensor::ConstRows x, int64_t taps, int64_t dilation) {
  const int64_t rows = std::max<int64_t>(0, x.rows - (taps - 1) * dilation);
  return {.data = x.data, .rows = rows, .stride = x.stride, .taps = taps, .tap_stride = dilation * x.stride, .cols = x.cols};
}

void depthwise_conv1d(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, tensor::Rows y) {
  const int64_t taps = weight.shape[-1];
  CHECK(weight.shape.elements() == x.cols * taps && bias.shape.elements() == x.cols);
  CHECK(y.cols == x.cols && y.rows == x.rows - taps + 1);
  for (int64_t c = 0; c < x.cols; ++c) {
    for (int64_t t = 0; t < y.rows; ++t) y.row(t)[c] = bias.at(c);
    for (int64_t k = 0; k < taps; ++k) {
      const float factor = weight.at(c * taps + k);
      for (int64_t t = 0; t < y.rows; ++t) y.row(t)[c] += x.row(t + k)[c] * factor;
    }
  }
}

}  // namespace calliope::kernels
