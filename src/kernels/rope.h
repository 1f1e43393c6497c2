#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// Rotates every head of every row in place: (a, b) = (x[i], x[i + head_dim / 2]) becomes
/// (a cos - b sin, b cos + a sin). x [T, heads * head_dim]; cosine and sine [T, head_dim / 2].
void rope(tensor::Rows x, int64_t head_dim, tensor::ConstRows cosine, tensor::ConstRows sine);

/// 1 / theta^(2i / dim) for i < dim / 2, worked out in f32 as the reference does.
void rope_frequencies(double theta, int64_t dim, std::span<float> out);

}  // namespace calliope::kernels
