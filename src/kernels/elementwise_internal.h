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
  /// Turns the pairs (x[i], x[half + i]) by the angles of these cosines and sines.
  void (*rope)(float* x, const float* cosine, const float* sine, int64_t half);
};

extern const ElementwiseRows kElementwisePlain;
extern const ElementwiseRows kElementwiseAvx2;
extern const ElementwiseRows kElementwiseNeon;

/// Parts of a norm of one row; sums in double.
struct NormRows {
  double (*sum)(const float* x, int64_t n);
  double (*squares)(const float* x, double mean, int64_t n);  ///< of x - mean
  void (*scale)(const float* x, float mean, float factor, const float* w, float* y, int64_t n);
};

extern const NormRows kNormPlain;
extern const NormRows kNormAvx2;
extern const NormRows kNormNeon;

}  // namespace calliope::kernels::detail
