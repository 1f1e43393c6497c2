#pragma once

#include "tensor/tensor.h"

namespace calliope::kernels {

/// y = x / sqrt(mean(x^2) + eps) * weight. x, y [T, D] (may be the same), weight [D].
void rms_norm(tensor::ConstRows x, const tensor::View& weight, float eps, tensor::Rows y);

/// y = (x - mean) / sqrt(var + eps) * weight + bias. x, y [T, D] (may be the same), weight and bias [D].
void layer_norm(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, float eps, tensor::Rows y);

}  // namespace calliope::kernels
