#include "kernels/snake_beta.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/snake_beta_internal.h"

namespace calliope::kernels {

void snake_beta(tensor::ConstRows x, std::span<const float> rate, std::span<const float> scale, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols);
  CHECK(static_cast<int64_t>(rate.size()) == x.cols && static_cast<int64_t>(scale.size()) == x.cols);
  const auto row = choose<detail::SnakeRow>(detail::snake_row_plain, detail::snake_row_avx2, detail::snake_row_avx512,
                                            detail::snake_row_neon);
  parallel_for(x.rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, x.cols)), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(x.row(t), rate.data(), scale.data(), x.cols, y.row(t));
  });
}

namespace detail {

void snake_row_plain(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  for (int64_t c = 0; c < channels; ++c) {
    const float sine = std::sin(x[c] * rate[c]);
    y[c] = x[c] + scale[c] * (sine * sine);
  }
}

}  // namespace detail
}  // namespace calliope::kernels
