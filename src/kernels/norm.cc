#include "kernels/norm.h"

#include <cmath>
#include <vector>

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

}  // namespace

void rms_norm(tensor::ConstRows x, const tensor::View& weight, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols && weight.shape.elements() == x.cols);
  const float* w = in_f32<0>(weight);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t);
    float* to = y.row(t);
    double squares = 0;
    for (int64_t i = 0; i < x.cols; ++i) squares += double(from[i]) * from[i];
    const float scale = 1.0f / std::sqrt(static_cast<float>(squares / double(x.cols)) + eps);
    for (int64_t i = 0; i < x.cols; ++i) to[i] = from[i] * scale * w[i];
  }
}

void layer_norm(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols);
  CHECK(weight.shape.elements() == x.cols && bias.shape.elements() == x.cols);
  const float* w = in_f32<0>(weight);
  const float* b = in_f32<1>(bias);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t);
    float* to = y.row(t);
    double sum = 0;
    for (int64_t i = 0; i < x.cols; ++i) sum += from[i];
    const double mean = sum / double(x.cols);
    double squares = 0;
    for (int64_t i = 0; i < x.cols; ++i) squares += (from[i] - mean) * (from[i] - mean);
    const auto scale = static_cast<float>(1.0 / std::sqrt(squares / double(x.cols) + eps));
    for (int64_t i = 0; i < x.cols; ++i) to[i] = (from[i] - static_cast<float>(mean)) * scale * w[i] + b[i];
  }
}

}  // namespace calliope::kernels
