#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// What a convolution reads of a channels-last signal: window r is `taps` runs of `cols` floats, run t of it starting at
/// data + r * stride + t * tap_stride. Windows may overlap, so no copy is needed for any stride or dilation.
struct Windows {
  const float* data = nullptr;
  int64_t rows = 0;        ///< how many windows
  int64_t stride = 0;      ///< floats from one window to the next
  int64_t taps = 1;
  int64_t tap_stride = 0;  ///< floats from one run to the next
  int64_t cols = 0;        ///< floats in a run
  int64_t inner() const { return taps * cols; }
};

/// Weights [inner, out] in f32, copied into panels of 16 output features side by side: [ceil(out / 16), inner, 16].
class PackedWeight {
 public:
  static constexpr int64_t kPanel = 16;
  PackedWeight() = default;

  /// Conv1d weight [out, in, taps], bias [out] or null: inner index tap * in + i.
  static PackedWeight conv1d(const tensor::View& weight, const tensor::View& bias);
  /// Conv2d weight [out, in, height, width]: inner index (w * height + h) * in + i, for signals laid out [width, height, in].
  static PackedWeight conv2d(const tensor::View& weight, const tensor::View& bias);
  /// ConvTranspose1d weight [in, out, k] with k = stride or k = 2 stride, as a convolution of k / stride taps whose
  /// stride * out features are the next `stride` output steps.
  static PackedWeight transposed(const tensor::View& weight, const tensor::View& bias, int64_t stride);
  /// Linear weight [out, in].
  static PackedWeight linear(const tensor::View& weight, const tensor::View& bias);

  int64_t inner() const { return inner_; }
  int64_t out() const { return out_; }
  const float* panel(int64_t index) const { return panels_.data() + index * inner_ * kPanel; }
  /// Padded with zeros to whole panels; all zero where there was no bias.
  const float* bias() const { return bias_.data(); }

 private:
  PackedWeight(int64_t inner, int64_t out);
  float& at(int64_t k, int64_t o) { return panels_.data()[(o / kPanel * inner_ + k) * kPanel + o % kPanel]; }

  int64_t inner_ = 0;
  int64_t out_ = 0;
  tensor::Tensor panels_;
  tensor::Tensor bias_;
};

/// y[r, o] = bias[o] + sum over k of window r's k-th float times weight[k, o]. y [x.rows, w.out()], not overlapping x.
/// Every y[r, o] is summed in the same order whatever the number of windows and threads.
void conv(const Windows& x, const PackedWeight& w, tensor::Rows y);

/// The plain loop conv() is tested against: double accumulator, no blocking.
void conv_reference(const Windows& x, const PackedWeight& w, tensor::Rows y);

/// Windows of a causal 1-d convolution over rows [history + T, C], history = (taps - 1) * dilation: T windows.
Windows causal_windows(tensor::ConstRows x, int64_t taps, int64_t dilation);

/// y[t, c] = bias[c] + sum over k of x[t + k, c] * weight[c, k]: one filter a channel.
/// x [T + taps - 1, C], weight [C, 1, taps], bias [C], y [T, C].
void depthwise_conv1d(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, tensor::Rows y);

}  // namespace calliope::kernels
