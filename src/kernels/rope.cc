#include "kernels/rope.h"

#include <cmath>

namespace calliope::kernels {

void rope(tensor::Rows x, int64_t head_dim, tensor::ConstRows cosine, tensor::ConstRows sine) {
  const int64_t half = head_dim / 2;
  CHECK(head_dim % 2 == 0 && x.cols % head_dim == 0);
  CHECK(cosine.rows == x.rows && cosine.cols == half && sine.rows == x.rows && sine.cols == half);
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* c = cosine.row(t);
    const float* s = sine.row(t);
    for (float* head = x.row(t); head < x.row(t) + x.cols; head += head_dim) {
      for (int64_t i = 0; i < half; ++i) {
        const float a = head[i], b = head[i + half];
        head[i] = a * c[i] - b * s[i];
        head[i + half] = b * c[i] + a * s[i];
      }
    }
  }
}

void rope_frequencies(double theta, int64_t dim, std::span<float> out) {
  CHECK(static_cast<int64_t>(out.size()) == dim / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    out[i] = 1.0f / std::pow(static_cast<float>(theta), exponent);
  }
}

}  // namespace calliope::kernels
