#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/conv.h"
#include "kernels/linear.h"
#include "model/weights.h"

namespace calliope::model {

/// Takes one part's weights under a common prefix. The first error is kept and everything after it comes back empty, so
/// that a part's table of names and shapes reads without a check on every line; done() tells.
class WeightReader {
 public:
  WeightReader(const Weights& weights, std::string prefix) : weights_(weights), prefix_(std::move(prefix)) {}

  tensor::View take(const std::string& name, tensor::Shape shape) {
    if (error_) return {};
    auto view = weights_.take(prefix_ + name, shape);
    if (view) return *view;
    error_ = view.error();
    return {};
  }

  /// name.weight [out, in], packed if quantised, and name.bias [out] where there is one.
  kernels::LinearWeight linear(const std::string& name, int64_t out, int64_t in, bool bias = true) {
    const auto weight = take(name + ".weight", {out, in});
    return linear(weight, bias ? take(name + ".bias", {out}) : tensor::View());
  }
  /// The same of weights that have been taken.
  kernels::LinearWeight linear(const tensor::View& weight, const tensor::View& bias = {}) const {
    auto layer = kernels::make_linear(weight, bias);
    if (layer.packed) weights_.release(weight);
    return layer;
  }

  /// name.weight [out, in, taps] and name.bias [out], packed.
  kernels::PackedWeight conv1d(const std::string& name, int64_t out, int64_t in, int64_t taps, bool may_be_bf16 = true) {
    const auto weight = take(name + ".weight", {out, in, taps});
    const auto bias = take(name + ".bias", {out});
    if (error_) return {};
    auto packed = kernels::PackedWeight::conv1d(weight, bias, may_be_bf16 ? products(weight, in) : kernels::Products::f32);
    weights_.release(weight);
    return packed;
  }

  /// name.weight [in, out, k] and name.bias [out] of a transposed convolution, packed.
  kernels::PackedWeight transposed(const std::string& name, const tensor::Shape& shape, int64_t stride) {
    const auto weight = take(name + ".weight", shape);
    const auto bias = take(name + ".bias", {shape[1]});
    if (error_) return {};
    auto packed = kernels::PackedWeight::transposed(weight, bias, stride, products(weight, shape[0]));
    weights_.release(weight);
    return packed;
  }

  /// name.weight [out, in, 3, 3] and name.bias [out], packed.
  kernels::PackedWeight conv2d(const std::string& name, int64_t out, int64_t in) {
    const auto weight = take(name + ".weight", {out, in, 3, 3});
    const auto bias = take(name + ".bias", {out});
    return error_ ? kernels::PackedWeight() : kernels::PackedWeight::conv2d(weight, bias);
  }

  /// name as f32.
  std::vector<float> floats(const std::string& name, int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    if (const auto view = take(name, {count})) view.to_f32(values);
    return values;
  }

  /// An error when there is a tensor of this name, which config.json's `field` leaves no place for.
  void refuse(const std::string& name, std::string_view field) {
    if (error_ || !weights_.find(prefix_ + name)) return;
    error_ = Error{ErrorCode::invalid_argument,
                   "the checkpoint has a tensor " + prefix_ + name + ", which is more than config.json's " + std::string(field) + " says",
                   std::string(field)};
  }

  const std::optional<Error>& error() const { return error_; }

  Result<void> done() const {
    if (error_) return std::unexpected(*error_);
    return {};
  }

 private:
  kernels::Products products(const tensor::View& weight, int64_t in) const {
    const bool bf16 = weights_.bf16_convolutions() && weight.dtype == tensor::DType::bf16 && in % 2 == 0;
    return bf16 ? kernels::Products::bf16 : kernels::Products::f32;
  }

  const Weights& weights_;
  std::string prefix_;
  std::optional<Error> error_;
};

}  // namespace calliope::model
