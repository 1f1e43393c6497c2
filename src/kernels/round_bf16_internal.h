#pragma once

#include <cstdint>

namespace calliope::kernels::detail {

/// `count` floats to bf16, to the nearest, ties to even; what is smaller than 2^-126 becomes zero.
using RoundToBf16 = void (*)(const float* from, int64_t count, uint16_t* to);
void round_to_bf16_plain(const float* from, int64_t count, uint16_t* to);
void round_to_bf16_avx2(const float* from, int64_t count, uint16_t* to);
void round_to_bf16_avx512(const float* from, int64_t count, uint16_t* to);
void round_to_bf16_neon(const float* from, int64_t count, uint16_t* to);
/// That of the active instruction set.
RoundToBf16 round_to_bf16();

}  // namespace calliope::kernels::detail
