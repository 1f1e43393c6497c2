#pragma once

#include "tensor/tensor.h"

namespace calliope::kernels {

/// x += scale * a channel by channel (LayerScale on a residual branch). a, x [T, D], scale [D] of any float type.
void add_scaled(tensor::ConstRows a, const tensor::View& scale, tensor::Rows x);

}  // namespace calliope::kernels
