#pragma once

#include <optional>
#include <string_view>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// An elementwise activation in place.
using Activation = void (*)(tensor::Rows x);

/// By the name a config.json uses: "gelu", "gelu_pytorch_tanh", "gelu_new", "silu", "swish", "relu".
std::optional<Activation> activation_by_name(std::string_view name);

}  // namespace calliope::kernels
