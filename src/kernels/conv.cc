#include "kernels/conv.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/conv_bf16_internal.h"
#include "kernels/conv_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

int64_t panels_of(int64_t out) { return (out + PackedWeight::kPanel - 1) / PackedWeight::kPanel; }

void check_shapes(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  CHECK(x.inner() == w.inner() && y.rows == x.rows && y.cols == w.out());
  CHECK(w.products() == Products::f32 || x.cols % 2 == 0);
}

}  // namespace

PackedWeight::PackedWeight(int64_t inner, int64_t out, Products products)
    : inner_(inner), out_(out), products_(products),
      panels_({panels_of(out), products == Products::bf16 ? inner / 2 : inner, kPanel}), bias_({panels_of(out) * kPanel}) {
  CHECK(products == Products::f32 || inner % 2 == 0);
}

void PackedWeight::set(int64_t k, int64_t o, float value) {
  if (products_ == Products::f32) {
    panels_.data()[(o / kPanel * inner_ + k) * kPanel + o % kPanel] = value;
    return;
  }
  uint16_t bits;
  detail::round_to_bf16_plain(&value, 1, &bits);
  const int64_t word = (o / kPanel * (inner_ / 2) + k / 2) * kPanel + o % kPanel;
  std::memcpy(reinterpret_cast<std::byte*>(panels_.data() + word) + 2 * (k % 2), &bits, sizeof bits);
}

float PackedWeight::weight(int64_t k, int64_t o) const {
  if (products_ == Products::f32) return panel(o / kPanel)[k * kPanel + o % kPanel];
  return tensor::bf16_to_f32(static_cast<uint16_t>(bf16_panel(o / kPanel)[k / 2 * kPanel + o % kPanel] >> 16 * (k % 2)));
}

PackedWeight PackedWeight::conv1d(const tensor::View& weight, const tensor::View& bias, Products products) {
  CHECK(weight.shape.rank() == 3);
  const int64_t out = weight.shape[0], in = weight.shape[1], taps = weight.shape[2];
  CHECK(products == Products::f32 || in % 2 == 0);
  PackedWeight packed(taps * in, out, products);
  parallel_for(out, std::max<int64_t>(1, 65536 / (in * taps)), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t tap = 0; tap < taps; ++tap) packed.set(tap * in + i, o, weight.at((o * in + i) * taps + tap));
      }
    }
  });
  if (bias) bias.to_f32({packed.bias_.data(), static_cast<size_t>(out)});
  return packed;
}

PackedWeight PackedWeight::conv2d(const tensor::View& weight, const tensor::View& bias) {
  CHECK(weight.shape.rank() == 4);
  const int64_t out = weight.shape[0], in = weight.shape[1], height = weight.shape[2], width = weight.shape[3];
  PackedWeight packed(width * height * in, out, Products::f32);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t h = 0; h < height; ++h) {
        for (int64_t w = 0; w < width; ++w) {
          packed.set((w * height + h) * in + i, o, weight.at(((o * in + i) * height + h) * width + w));
        }
      }
    }
  }
  if (bias) bias.to_f32({packed.bias_.data(), static_cast<size_t>(out)});
  return packed;
}

PackedWeight PackedWeight::transposed(const tensor::View& weight, const tensor::View& bias, int64_t stride, Products products) {
  CHECK(weight.shape.rank() == 3 && stride > 0 && weight.shape[2] % stride == 0);
  const int64_t in = weight.shape[0], out = weight.shape[1], k = weight.shape[2], taps = k / stride;
  CHECK(products == Products::f32 || in % 2 == 0);
  PackedWeight packed(taps * in, stride * out, products);
  // Input j reaches output steps j * stride .. j * stride + k - 1: the newest tap holds the kernel's beginning.
  parallel_for(in, std::max<int64_t>(1, 65536 / (out * k)), [&](int64_t begin, int64_t end) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t step = 0; step < stride; ++step) {
          for (int64_t o = 0; o < out; ++o) {
            packed.set(tap * in + i, step * out + o, weight.at((i * out + o) * k + (taps - 1 - tap) * stride + step));
          }
        }
      }
    }
  });
  for (int64_t i = 0; bias && i < stride * out; ++i) packed.bias_.data()[i] = bias.at(i % out);
  return packed;
}

PackedWeight PackedWeight::linear(const tensor::View& weight, const tensor::View& bias) {
  CHECK(weight.shape.rank() == 2);
  return conv1d(weight.reshaped({weight.shape[0], weight.shape[1], 1}), bias);
}

namespace {

// Windows [row, row + kRows) x panels [panel, panel + kPanels), piece by piece on all threads.
template <class Slice>
void in_pieces(int64_t rows, int64_t rows_at_once, int64_t panels, int64_t panels_at_once, int64_t inner, const Slice& slice) {
  const int64_t row_blocks = (rows + rows_at_once - 1) / rows_at_once, panel_blocks = (panels + panels_at_once - 1) / panels_at_once;
  const int64_t work = std::min(rows, rows_at_once) * std::min(panels, panels_at_once) * PackedWeight::kPanel * inner;
  parallel_for(row_blocks * panel_blocks, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, work)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t row = item / panel_blocks * rows_at_once, panel = item % panel_blocks * panels_at_once;
                   slice(detail::ConvRange{.row_begin = row,
                                           .row_end = std::min(row + rows_at_once, rows),
                                           .panel_begin = panel,
                                           .panel_end = std::min(panel + panels_at_once, panels)});
                 }
               });
}

// A run of windows of one task.
struct RowBlock {
  detail::Bf16Windows x;
  tensor::Rows y;
  int64_t begin, end;
};

void conv_bf16(std::span<const ConvTask> tasks, const PackedWeight& w) {
  // 96 windows at a time: their inputs stay in the first-level cache while a few panels pass by, and the weights of three
  // panels in the second while windows of all tasks do.
  constexpr int64_t kRows = 96, kPanels = 3;
  thread_local tensor::Tensor scratch;  // bf16 in the place of f32
  thread_local std::vector<RowBlock> blocks;
  const auto extent = [](const Windows& x) { return (x.rows - 1) * x.stride + (x.taps - 1) * x.tap_stride + x.cols; };
  int64_t words = 0, rows = 0;
  for (const ConvTask& task : tasks) {
    if (task.x.rows > 0) words += (extent(task.x) + 1) / 2;
    rows += task.x.rows;
  }
  if (rows == 0) return;
  scratch.resize({words});
  blocks.clear();
  const auto round = detail::round_to_bf16();
  words = 0;
  for (const auto& [x, y] : tasks) {
    if (x.rows == 0) continue;
    auto* rounded = reinterpret_cast<uint16_t*>(scratch.data() + words);
    parallel_for(extent(x), 65536, [&](int64_t begin, int64_t end) { round(x.data + begin, end - begin, rounded + begin); });
    words += (extent(x) + 1) / 2;
    const detail::Bf16Windows windows{rounded, x.stride, x.taps, x.tap_stride, x.cols};
    for (int64_t row = 0; row < x.rows; row += kRows) blocks.push_back({windows, y, row, std::min(row + kRows, x.rows)});
  }
  const auto avx512 = active_isa() == Isa::avx512bf16 ? detail::conv_bf16_slice_avx512bf16 : detail::conv_bf16_slice_avx512;
  const auto slice = choose<detail::ConvBf16Slice>(detail::conv_bf16_slice_plain, detail::conv_bf16_slice_avx2, avx512,
                                                   detail::conv_bf16_slice_neon);
  const int64_t panels = panels_of(w.out()), panel_blocks = (panels + kPanels - 1) / kPanels, count = std::ssize(blocks);
  const int64_t work = std::min(rows, kRows) * std::min(panels, kPanels) * PackedWeight::kPanel * w.inner();
  const std::span<const RowBlock> shared = blocks;
  parallel_for(count * panel_blocks, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, work)), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const RowBlock& block = shared[static_cast<size_t>(item % count)];
      const int64_t panel = item / count * kPanels;
      slice(block.x, w, block.y,
            {.row_begin = block.begin, .row_end = block.end, .panel_begin = panel, .panel_end = std::min(panel + kPanels, panels)});
    }
  });
}

}  // namespace

void conv(std::span<const ConvTask> tasks, const PackedWeight& w) {
  for (const auto& [x, y] : tasks) check_shapes(x, w, y);
  if (w.products() == Products::bf16) return conv_bf16(tasks, w);
  const auto slice = choose<detail::ConvSlice>(detail::conv_slice_plain, detail::conv_slice_avx2, detail::conv_slice_avx512,
                                               detail::conv_slice_neon);
  for (const auto& [x, y] : tasks) {
    // 96 windows (tiles of 6 or 12) keep a run of weights in L1 for a while; 4 panels are what a tile of one row takes.
    in_pieces(x.rows, 96, panels_of(w.out()), 4, x.inner(), [&](const detail::ConvRange& range) { slice(x, w, y, range); });
  }
}

void conv(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  const ConvTask task{x, y};
  conv({&task, 1}, w);
}

void conv_reference(const Windows& x, const PackedWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t o = 0; o < w.out(); ++o) {
      double sum = w.bias()[o];
      for (int64_t k = 0; k < x.inner(); ++k) {
        float value = x.data[r * x.stride + k / x.cols * x.tap_stride + k % x.cols];
        if (w.products() == Products::bf16) value = tensor::bf16_to_f32(tensor::f32_to_bf16(value));
        sum += double(value) * w.weight(k, o);
      }
      y.row(r)[o] = static_cast<float>(sum);
    }
  }
}

Windows causal_windows(tensor::ConstRows x, int64_t taps, int64_t dilation) {
  const int64_t rows = std::max<int64_t>(0, x.rows - (taps - 1) * dilation);
  return {.data = x.data, .rows = rows, .stride = x.stride, .taps = taps, .tap_stride = dilation * x.stride, .cols = x.cols};
}

DepthwiseWeight::DepthwiseWeight(const tensor::View& weight, const tensor::View& filter_bias)
    : taps({weight.shape[-1], weight.shape[0]}), bias({weight.shape[0]}) {
  CHECK(weight.shape.elements() == taps.elements() && filter_bias.shape.elements() == bias.elements());
  const int64_t count = taps.shape()[0], channels = taps.shape()[1];
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t k = 0; k < count; ++k) taps.data()[k * channels + c] = weight.at(c * count + k);
  }
  filter_bias.to_f32(bias.span());
}

void depthwise_conv1d(tensor::ConstRows x, const DepthwiseWeight& w, tensor::Rows y) {
  const tensor::ConstRows taps = w.taps.rows();
  CHECK(taps.cols == x.cols && y.cols == x.cols && y.rows == x.rows - taps.rows + 1);
  for (int64_t t = 0; t < y.rows; ++t) {
    float* to = y.row(t);
    std::copy_n(w.bias.data(), y.cols, to);
    for (int64_t k = 0; k < taps.rows; ++k) {
      const float *from = x.row(t + k), *factors = taps.row(k);
      for (int64_t c = 0; c < y.cols; ++c) to[c] += from[c] * factors[c];
    }
  }
}

}  // namespace calliope::kernels
