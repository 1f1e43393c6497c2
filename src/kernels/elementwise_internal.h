#pragma once

#include <cstdint>

namespace calliope::kernels::detail {

/// One row of each elementwise operation; `n` floats.
struct ElementwiseRows {
  void (*add)(const float* a, float* x, int64_t n);
  void (*silu_mul)(const float* up, float* gate, int64_t n);
  void (*silu)(float* x, int64_t n);
  void (*gelu)(float* x, int64_t n);
  void (*gelu_tanh)(float* x, int64_t n);
  void (*softmax)(float* x, int64_t n);
};

extern const ElementwiseRows kElementwisePlain;
extern const ElementwiseRows kElementwiseAvx2;

}  // namespace calliope::kernels::detail
