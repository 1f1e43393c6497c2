#pragma once

#include <span>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// x += a, both [T, D].
void add(tensor::ConstRows a, tensor::Rows x);

/// gate = silu(gate) * up, both [T, F] (SwiGLU).
void silu_mul(tensor::ConstRows up, tensor::Rows gate);

/// x = x / (1 + exp(-x)).
void silu(tensor::Rows x);

/// x = x Phi(x), by erf.
void gelu(tensor::Rows x);

/// x = gelu by its tanh form ("gelu_pytorch_tanh").
void gelu_tanh(tensor::Rows x);

/// 1 / (1 + exp(-x))
float sigmoid(float x);

/// Softmax in place over a row.
void softmax(std::span<float> row);

}  // namespace calliope::kernels
