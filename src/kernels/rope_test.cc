#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

void turn_each_pair(Isa isa) {
  set_isa(isa);
  for (const int64_t half : {1, 3, 4, 8, 9, 16, 35}) {
    const int64_t rows = 3, heads = 2;
    tensor::Tensor x({rows, heads * 2 * half}), cosine({rows, half}), sine({rows, half});
    for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = float(i % 13) - 6;
    const tensor::Tensor before = x;
    for (int64_t i = 0; i < rows * half; ++i) {
      cosine.data()[i] = std::cos(0.1f * float(i));
      sine.data()[i] = std::sin(0.1f * float(i));
    }
    rope(x.rows(), 2 * half, cosine.rows(), sine.rows());
    for (int64_t t = 0; t < rows; ++t) {
      for (int64_t i = 0; i < heads * 2 * half; ++i) {
        // Element i of a head is the real part of its pair in the first half, the imaginary part in the second.
        const int64_t head = i / (2 * half) * 2 * half, j = i % half;
        const double angle = 0.1f * float(t * half + j);
        const double a = before.rows().row(t)[head + j], b = before.rows().row(t)[head + j + half];
        const bool first = i % (2 * half) < half;
        const double expected =
            first ? a * std::cos(angle) - b * std::sin(angle) : b * std::cos(angle) + a * std::sin(angle);
        ASSERT_NEAR(x.rows().row(t)[i], expected, 2e-6);
      }
    }
  }
}

TEST(Rope, TurnsEachPairByItsAngle) {
  for (const Isa isa : available_isas()) turn_each_pair(isa);
  set_isa(best_isa());
}

TEST(Rope, FrequenciesFallFromOneTowardsOneOverTheta) {
  std::vector<float> frequencies(4);
  rope_frequencies(10000.0, 8, frequencies);
  EXPECT_FLOAT_EQ(frequencies[0], 1.0f);
  EXPECT_FLOAT_EQ(frequencies[1], 0.1f);
  EXPECT_FLOAT_EQ(frequencies[3], 0.001f);
}

}  // namespace
}  // namespace calliope::kernels
