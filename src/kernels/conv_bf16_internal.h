#pragma once

#include <cstdint>

#include "kernels/conv_internal.h"
#include "kernels/round_bf16_internal.h"

namespace calliope::kernels::detail {

/// Windows of a signal rounded to bf16: `data` counts in bf16, everything else as in Windows.
struct Bf16Windows {
  const uint16_t* data = nullptr;
  int64_t stride = 0, taps = 1, tap_stride = 0, cols = 0;
};

/// Part of conv() with bf16 weights. Every y[r, o] is one chain: the bias, then for each pair of inputs (2 j, 2 j + 1) of
/// each tap fma(input 2 j + 1, weight, sum), then fma(input 2 j, weight, sum): what AVX-512's vdpbf16ps does. So every
/// version gives the same bits, but where something is smaller than 2^-126, which vdpbf16ps takes for zero.
using ConvBf16Slice = void (*)(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_bf16_slice_plain(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_bf16_slice_avx2(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_bf16_slice_avx512(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_bf16_slice_neon(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_bf16_slice_avx512bf16(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);

}  // namespace calliope::kernels::detail
