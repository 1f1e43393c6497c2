#include "kernels/rope.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/elementwise_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {

void rope(tensor::Rows x, int64_t head_dim, tensor::ConstRows cosine, tensor::ConstRows sine) {
  const int64_t half = head_dim / 2;
  CHECK(head_dim % 2 == 0 && x.cols % head_dim == 0);
  CHECK(cosine.rows == x.rows && cosine.cols == half && sine.rows == x.rows && sine.cols == half);
  const auto turn = choose(detail::kElementwisePlain, detail::kElementwiseAvx2, detail::kElementwiseAvx2, detail::kElementwiseNeon).rope;
  // Waking a thread pays from some ten thousand elements on.
  parallel_for(x.rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, x.cols)), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (float* head = x.row(t); head < x.row(t) + x.cols; head += head_dim) turn(head, cosine.row(t), sine.row(t), half);
    }
  });
}

void rope_frequencies(double theta, int64_t dim, std::span<float> out) {
  CHECK(static_cast<int64_t>(out.size()) == dim / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    out[i] = 1.0f / std::pow(static_cast<float>(theta), exponent);
  }
}

}  // namespace calliope::kernels
