#pragma once

#include "tensor/tensor.h"

namespace calliope::kernels {

/// A dense layer's weights as the checkpoint holds them: weight [out, in] of any is_float type; bias [out] or null.
struct LinearWeight {
  tensor::View weight;
  tensor::View bias;
  int64_t in() const { return weight.shape[1]; }
  int64_t out() const { return weight.shape[0]; }
};

/// y = x W^T + b. x [T, in], y [T, out]; x and y must not overlap. Accumulates in f32. Every y[t, o] is summed in
/// the same order whatever T and the number of threads, so a batch equals its rows one by one, bit for bit.
void linear(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y);

/// The plain loop the kernels are tested against: double accumulator, no blocking.
void linear_reference(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y);

}  // namespace calliope::kernels
