#pragma once

#include <memory>
#include <span>

#include "kernels/packed_linear.h"
#include "tensor/tensor.h"

namespace calliope::kernels {

/// A dense layer's weights as the checkpoint holds them: weight [out, in] of any is_float type; bias [out] or null.
struct LinearWeight {
  tensor::View weight;
  tensor::View bias;
  std::shared_ptr<const PackedLinear> packed = {};  ///< where there, what linear() reads instead of `weight`'s data
  int64_t in() const { return weight.shape[1]; }
  int64_t out() const { return weight.shape[0]; }
};

/// A layer of these weights, packed where their type packs (which copies them).
LinearWeight make_linear(const tensor::View& weight, const tensor::View& bias = {});

/// y = x W^T + b. x [T, in], y [T, out]; x and y must not overlap. Accumulates in f32. Every y[t, o] is summed in
/// the same order whatever T and the number of threads, so a batch equals its rows one by one, bit for bit.
///
/// Packed weights multiply activations that are rounded to 8 bits in blocks of 32, as ggml does: each |x| changes by at
/// most max |x| of its block / 254. With them every y[t, o] is the same, bit for bit, for every instruction set, too.
void linear(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y);

/// One linear() of several that do not depend on one another.
struct LinearTask {
  tensor::ConstRows x;
  const LinearWeight* w = nullptr;
  tensor::Rows y;
};

/// As linear() on each task; packed ones share their threads and the rounding of their inputs.
void linear(std::span<const LinearTask> tasks);

/// The plain loop the kernels are tested against: double accumulator, no blocking.
void linear_reference(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y);

}  // namespace calliope::kernels
