#include "kernels/norm.h"

#include <cmath>

namespace calliope::kernels {

void rms_norm(tensor::ConstRows x, const tensor::View& weight, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols && weight.shape.elements() == x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t);
    float* to = y.row(t);
    double squares = 0;
    for (int64_t i = 0; i < x.cols; ++i) squares += double(from[i]) * from[i];
    const float scale = 1.0f / std::sqrt(static_cast<float>(squares / double(x.cols)) + eps);
    for (int64_t i = 0; i < x.cols; ++i) to[i] = from[i] * scale * weight.at(i);
  }
}

void layer_norm(tensor::ConstRows x, const tensor::View& weight, const tensor::View& bias, float eps, tensor::Rows y) {
  CHECK(x.rows == y.rows && x.cols == y.cols);
  CHECK(weight.shape.elements() == x.cols && bias.shape.elements() == x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t);
    float* to = y.row(t);
    double sum = 0;
    for (int64_t i = 0; i < x.cols; ++i) sum += from[i];
    const double mean = sum / double(x.cols);
    double squares = 0;
    for (int64_t i = 0; i < x.cols; ++i) squares += (from[i] - mean) * (from[i] - mean);
    const auto scale = static_cast<float>(1.0 / std::sqrt(squares / double(x.cols) + eps));
    for (int64_t i = 0; i < x.cols; ++i) to[i] = (from[i] - static_cast<float>(mean)) * scale * weight.at(i) + bias.at(i);
  }
}

}  // namespace calliope::kernels
