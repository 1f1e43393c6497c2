#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// The quantised weights of a dense layer [out, in], copied once into the order the kernels read: panels of 16 output
/// features, in a panel the same four inputs of all 16 side by side. 4-bit weights stay 4-bit.
class PackedLinear {
 public:
  static constexpr int64_t kPanel = 16;  ///< output features
  static constexpr int64_t kBlock = 32;  ///< inputs that share an activation scale

  /// Whether weights of this type have a packed form: Q8_0, Q4_0, Q4_K, Q5_K and Q6_K.
  static bool packs(tensor::DType type) { return tensor::is_quantized(type); }
  /// Bytes pack() would take; `in` in whole blocks of the type.
  static size_t bytes_for(tensor::DType type, int64_t out, int64_t in);
  /// Copies weight [out, in] of a type that packs(); runs on all threads. The weight is not needed afterwards.
  static std::shared_ptr<const PackedLinear> pack(const tensor::View& weight);

  tensor::DType type() const { return type_; }
  int64_t in() const { return in_; }
  int64_t out() const { return out_; }
  int64_t blocks() const { return in_ / kBlock; }
  int64_t panels() const { return (out_ + kPanel - 1) / kPanel; }
  /// Bytes held.
  size_t bytes() const { return static_cast<size_t>(panels()) * panel_bytes_; }
  /// Panel i, 64-byte aligned; packed_internal.h has the layout.
  const std::byte* panel(int64_t i) const { return data_.get() + static_cast<size_t>(i) * panel_bytes_; }
  /// Q8_0 and Q4_0: features with a scale that is not finite, in order. Their outputs are NaN; the panels don't say so.
  std::span<const int64_t> not_finite() const { return not_finite_; }

 private:
  PackedLinear(tensor::DType type, int64_t out, int64_t in);
  tensor::DType type_;
  int64_t out_, in_;
  size_t panel_bytes_;
  std::shared_ptr<std::byte> data_;
  std::vector<int64_t> not_finite_;
};

}  // namespace calliope::kernels
