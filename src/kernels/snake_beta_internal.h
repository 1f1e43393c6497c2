#pragma once

#include <cstdint>

namespace calliope::kernels::detail {

/// snake_beta() of one row of `channels`.
using SnakeRow = void (*)(const float* x, const float* rate, const float* scale, int64_t channels, float* y);
void snake_row_plain(const float* x, const float* rate, const float* scale, int64_t channels, float* y);
void snake_row_avx2(const float* x, const float* rate, const float* scale, int64_t channels, float* y);
void snake_row_avx512(const float* x, const float* rate, const float* scale, int64_t channels, float* y);
void snake_row_neon(const float* x, const float* rate, const float* scale, int64_t channels, float* y);

}  // namespace calliope::kernels::detail
