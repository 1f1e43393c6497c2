#include "kernels/elementwise.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/elementwise_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

const detail::ElementwiseRows& row_kernels() {
  return choose(detail::kElementwisePlain, detail::kElementwiseAvx2, detail::kElementwiseAvx2, detail::kElementwiseNeon);
}

// Waking a thread pays from some ten thousand exponentials on.
int64_t grain(int64_t cols) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, cols)); }

void each_row(tensor::Rows x, void (*row)(float* x, int64_t n)) {
  parallel_for(x.rows, grain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(x.row(t), x.cols);
  });
}

}  // namespace

void add(tensor::ConstRows a, tensor::Rows x) {
  CHECK(a.rows == x.rows && a.cols == x.cols);
  const auto row = row_kernels().add;
  parallel_for(x.rows, 4 * grain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(a.row(t), x.row(t), x.cols);
  });
}

void silu_mul(tensor::ConstRows up, tensor::Rows gate) {
  CHECK(up.rows == gate.rows && up.cols == gate.cols);
  const auto row = row_kernels().silu_mul;
  parallel_for(gate.rows, grain(gate.cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(up.row(t), gate.row(t), gate.cols);
  });
}

void silu(tensor::Rows x) { each_row(x, row_kernels().silu); }

void gelu(tensor::Rows x) { each_row(x, row_kernels().gelu); }

void gelu_tanh(tensor::Rows x) { each_row(x, row_kernels().gelu_tanh); }

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void softmax(std::span<float> row) {
  if (!row.empty()) row_kernels().softmax(row.data(), static_cast<int64_t>(row.size()));
}

}  // namespace calliope::kernels
