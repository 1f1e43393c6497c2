#pragma once

#include "kernels/linear.h"

namespace calliope::kernels::detail {

/// Computes output features [begin, end) of linear() without the bias.
using LinearSlice = void (*)(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end);
void linear_slice_plain(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end);
void linear_slice_avx2(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end);
void linear_slice_avx512(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end);
void linear_slice_neon(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end);

}  // namespace calliope::kernels::detail
