#pragma once

#include <cstdint>
#include <span>

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

/// How conv() multiplies: f32 by f32, or inputs and weights rounded to bf16 with sums in f32.
enum class Products : uint8_t { f32, bf16 };

/// Weights [inner, out], copied into panels of 16 output features side by side: [ceil(out / 16), inner, 16] in f32, or
/// [ceil(out / 16), inner / 2, 16, 2] in bf16.
class PackedWeight {
 public:
  static constexpr int64_t kPanel = 16;
  PackedWeight() = default;

  /// Conv1d weight [out, in, taps], bias [out] or null: inner index tap * in + i. For bf16 products `in` must be even.
  static PackedWeight conv1d(const tensor::View& weight, const tensor::View& bias, Products products = Products::f32);
  /// Conv2d weight [out, in, height, width]: inner index (w * height + h) * in + i, for signals laid out [width, height, in].
  static PackedWeight conv2d(const tensor::View& weight, const tensor::View& bias);
  /// ConvTranspose1d weight [in, out, k] with k = stride or k = 2 stride, as a convolution of k / stride taps whose
  /// stride * out features are the next `stride` output steps.
  static PackedWeight transposed(const tensor::View& weight, const tensor::View& bias, int64_t stride,
                                 Products products = Products::f32);
  /// Linear weight [out, in].
  static PackedWeight linear(const tensor::View& weight, const tensor::View& bias);

  int64_t inner() const { return inner_; }
  int64_t out() const { return out_; }
  Products products() const { return products_; }
  /// f32 [inner, 16]; of f32 products.
  const float* panel(int64_t index) const { return panels_.data() + index * inner_ * kPanel; }
  /// Pairs of bf16 [inner / 2, 16], the lower input in the lower half; of bf16 products.
  const uint32_t* bf16_panel(int64_t index) const {
    return reinterpret_cast<const uint32_t*>(panels_.data()) + index * (inner_ / 2) * kPanel;
  }
  /// Weight k of output o as conv() reads it.
  float weight(int64_t k, int64_t o) const;
  /// Padded with zeros to whole panels; all zero where there was no bias.
  const float* bias() const { return bias_.data(); }

 private:
  PackedWeight(int64_t inner, int64_t out, Products products);
  void set(int64_t k, int64_t o, float value);

  int64_t inner_ = 0;
  int64_t out_ = 0;
  Products products_ = Products::f32;
  tensor::Tensor panels_;
  tensor::Tensor bias_;
};

/// y[r, o] = bias[o] + sum over k of window r's k-th float times weight[k, o]. y [x.rows, w.out()], not overlapping x.
/// Every y[r, o] is summed in the same order whatever the number of windows and threads; with bf16 products it is the same,
/// bit for bit, for every instruction set, too, but where numbers are smaller than 2^-126.
void conv(const Windows& x, const PackedWeight& w, tensor::Rows y);

/// One conv() of several with the same weights.
struct ConvTask {
  Windows x;
  tensor::Rows y;
};

/// conv() of each task; bf16 weights are read once for all.
void conv(std::span<const ConvTask> tasks, const PackedWeight& w);

/// The plain loop conv() is tested against: double accumulator, no blocking.
void conv_reference(const Windows& x, const PackedWeight& w, tensor::Rows y);

/// Windows of a causal 1-d convolution over rows [history + T, C], history = (taps - 1) * dilation: T windows.
Windows causal_windows(tensor::ConstRows x, int64_t taps, int64_t dilation);

/// One filter a channel, in f32.
struct DepthwiseWeight {
  tensor::Tensor taps, bias;  // [taps, C], [C]
  DepthwiseWeight() = default;
  /// weight [C, 1, taps], bias [C].
  DepthwiseWeight(const tensor::View& weight, const tensor::View& bias);
};

/// y[t, c] = bias[c] + sum over k of x[t + k, c] * taps[k, c]. x [T + taps - 1, C], y [T, C].
void depthwise_conv1d(tensor::ConstRows x, const DepthwiseWeight& w, tensor::Rows y);

}  // namespace calliope::kernels
