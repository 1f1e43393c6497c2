#include "kernels/linear.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/linear_internal.h"

namespace calliope::kernels {
namespace {

void check_shapes(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  CHECK(w.weight.shape.rank() == 2 && x.cols == w.in() && y.cols == w.out() && x.rows == y.rows);
  CHECK(!w.bias || w.bias.shape.elements() == w.out());
}

}  // namespace

void linear(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  const auto slice = active_isa() == Isa::avx2 ? detail::linear_slice_avx2 : detail::linear_slice_plain;
  // At least 64k multiply-adds a piece, else waking a thread costs more than it saves.
  const int64_t per_feature = std::max<int64_t>(1, x.rows * x.cols);
  const int64_t grain = std::max<int64_t>(8, (65536 / per_feature + 7) / 8 * 8);
  parallel_for((w.out() + 7) / 8, grain / 8, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 8;
    const int64_t last = std::min(end * 8, w.out());
    slice(x, w.weight, y, first, last);
    if (!w.bias) return;
    for (int64_t o = first; o < last; ++o) {
      const float bias = w.bias.at(o);
      for (int64_t t = 0; t < y.rows; ++t) y.row(t)[o] += bias;
    }
  });
}

void linear_reference(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t o = 0; o < w.out(); ++o) {
      double sum = w.bias ? w.bias.at(o) : 0.0f;
      for (int64_t i = 0; i < x.cols; ++i) sum += double(x.row(t)[i]) * w.weight.at(o * x.cols + i);
      y.row(t)[o] = static_cast<float>(sum);
    }
  }
}

}  // namespace calliope::kernels
