#include "kernels/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/elementwise_internal.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

// A vector of weights in f32; the buffer of each thread grows to the widest layer once.
template <int kSlot>
const float* in_f32(const tensor::View& weight) {
  thread_local std::vector<float> buffer;
  buffer.resize(static_cast<size_t>(weight.shape.elements()));
  weight.to_f32(buffer);
  return buffer.data();
}

// Waking a thread pays from some ten thousand elements on.
template <class Row>
void each_row(int64_t rows, int64_t cols, Row row) {
  parallel_for(rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, cols)), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(t);
  });
}

}  // namespace

void rms_norm(tensor::ConstRows x, const tensor::View& weight, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols && weight.shape.elements() == x.cols);
  const float* w = in_f32<0>(weight);
  const detail::NormRows& run = choose(detail::kNormPlain, detail::kNormAvx2, detail::kNormAvx2, detail::kNormNeon);
  each_row(x.rows, x.cols, [&](int64_t t) {
    const double squares = run.squares(x.row(t), 0.0, x.cols);
    const float scale = 1.0f / std::sqrt(static_cast<float>(squares / double(x.cols)) + eps);
    run.scale(x.row(t), 0.0f, scale, w, y.row(t), x.cols);
  });
}

void layer_norm(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols);
  CHECK(weight.shape.elements() == x.cols && bias.shape.elements() == x.cols);
  const float* w = in_f32<0>(weight);
  const float* b = in_f32<1>(bias);
  const detail::NormRows& run = choose(detail::kNormPlain, detail::kNormAvx2, detail::kNormAvx2, detail::kNormNeon);
  const auto add = choose(detail::kElementwisePlain, detail::kElementwiseAvx2, detail::kElementwiseAvx2, detail::kElementwiseNeon).add;
  each_row(x.rows, x.cols, [&](int64_t t) {
    const double mean = run.sum(x.row(t), x.cols) / double(x.cols);
    const double squares = run.squares(x.row(t), mean, x.cols);
    const auto scale = static_cast<float>(1.0 / std::sqrt(squares / double(x.cols) + eps));
    run.scale(x.row(t), static_cast<float>(mean), scale, w, y.row(t), x.cols);
    add(b, y.row(t), x.cols);
  });
}

namespace detail {
namespace {

// Eight sums side by side, as the vector kernels keep them.
template <class Term>
double sum_of(int64_t n, Term term) {
  double sums[8] = {};
  for (int64_t i = 0; i < n; ++i) sums[i % 8] += term(i);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

double sum(const float* x, int64_t n) {
  return sum_of(n, [&](int64_t i) { return double(x[i]); });
}

double squares(const float* x, double mean, int64_t n) {
  return sum_of(n, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
}

void scale(const float* x, float mean, float factor, const float* w, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * factor * w[i];
}

}  // namespace

const NormRows kNormPlain = {sum, squares, scale};

}  // namespace detail
}  // namespace calliope::kernels
