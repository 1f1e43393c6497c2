#include "kernels/elementwise.h"

#include <algorithm>
#include <cmath>

namespace calliope::kernels {
namespace {

template <class F>
void each(tensor::Rows x, F f) {
  for (int64_t t = 0; t < x.rows; ++t) {
    float* row = x.row(t);
    for (int64_t i = 0; i < x.cols; ++i) row[i] = f(row[i]);
  }
}

}  // namespace

void add(tensor::ConstRows a, tensor::Rows x) {
  CHECK(a.rows == x.rows && a.cols == x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* from = a.row(t);
    float* to = x.row(t);
    for (int64_t i = 0; i < x.cols; ++i) to[i] += from[i];
  }
}

void silu_mul(tensor::ConstRows up, tensor::Rows gate) {
  CHECK(up.rows == gate.rows && up.cols == gate.cols);
  for (int64_t t = 0; t < gate.rows; ++t) {
    const float* u = up.row(t);
    float* g = gate.row(t);
    for (int64_t i = 0; i < gate.cols; ++i) g[i] = g[i] * sigmoid(g[i]) * u[i];
  }
}

void silu(tensor::Rows x) {
  each(x, [](float v) { return v * sigmoid(v); });
}

void gelu(tensor::Rows x) {
  each(x, [](float v) { return 0.5f * v * (1.0f + std::erf(v * 0.70710678118654752f)); });
}

void gelu_tanh(tensor::Rows x) {
  each(x, [](float v) { return 0.5f * v * (1.0f + std::tanh(0.79788456080286536f * (v + 0.044715f * v * v * v))); });
}

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void softmax(std::span<float> row) {
  if (row.empty()) return;
  const float top = *std::max_element(row.begin(), row.end());
  float sum = 0;
  for (float& value : row) sum += value = std::exp(value - top);
  for (float& value : row) value /= sum;
}

}  // namespace calliope::kernels
