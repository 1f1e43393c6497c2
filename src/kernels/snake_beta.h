#pragma once

#include <span>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// y = x + scale[c] * sin(rate[c] * x)^2 channel by channel (SnakeBeta, with rate = exp(alpha) and
/// scale = 1 / (exp(beta) + 1e-9) worked out beforehand). x, y [T, C] (may be the same), rate and scale [C].
void snake_beta(tensor::ConstRows x, std::span<const float> rate, std::span<const float> scale, tensor::Rows y);

}  // namespace calliope::kernels
