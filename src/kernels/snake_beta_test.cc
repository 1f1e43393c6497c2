#include "kernels/snake_beta.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

TEST(SnakeBeta, AgreesWithDoubleToAMillionthAtEveryTail) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const int64_t channels : {1, 7, 8, 9, 16, 23, 96}) {
      std::vector<float> rate, scale;
      for (int64_t c = 0; c < channels; ++c) {
        rate.push_back(0.1f + 0.37f * float(c));
        scale.push_back(1.0f / (1.0f + 0.1f * float(c)));
      }
      const int64_t rows = 400;
      tensor::Tensor x({rows, channels}), y({rows, channels});
      for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = (float(i * 7919 % 20011) - 10005.0f) * 0.01f;
      for (int64_t c = 0; c < channels; ++c) x.rows().row(0)[c] = 3e7f * float(c + 1);  // beyond the fast reduction
      snake_beta(x.rows(), rate, scale, y.rows());
      for (int64_t t = 0; t < rows; ++t) {
        for (int64_t c = 0; c < channels; ++c) {
          const float value = x.rows().row(t)[c];
          const double sine = std::sin(double(value * rate[size_t(c)]));
          const double expected = value + double(scale[size_t(c)]) * sine * sine;
          // A millionth of the term, and half an ulp of the sum.
          ASSERT_NEAR(y.rows().row(t)[c], expected, 1e-6 * scale[size_t(c)] + 0x1p-24 * std::abs(expected))
              << name_of(isa) << " x " << value << " rate " << rate[size_t(c)];
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(SnakeBeta, VectorsOfEightAndSixteenGiveTheSameBits) {
  const auto with = [](Isa isa) {
    set_isa(isa);
    tensor::Tensor x({50, 41});
    std::vector<float> rate(41), scale(41);
    for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = (float(i * 7919 % 20011) - 10005.0f) * (i % 97 == 0 ? 1e4f : 0.01f);
    for (size_t c = 0; c < 41; ++c) {
      rate[c] = 0.1f + 0.37f * float(c);
      scale[c] = 1.0f / (1.0f + 0.1f * float(c));
    }
    snake_beta(x.rows(), rate, scale, x.rows());
    return x;
  };
  if (best_isa() < Isa::avx512 || best_isa() > Isa::avx512bf16) GTEST_SKIP() << "this processor has no vectors of sixteen";
  const tensor::Tensor eight = with(Isa::avx2), sixteen = with(Isa::avx512);
  EXPECT_EQ(std::memcmp(eight.data(), sixteen.data(), sizeof(float) * 50 * 41), 0);
  set_isa(best_isa());
}

TEST(SnakeBeta, NotANumberStaysOne) {
  tensor::Tensor x({1, 9});
  x.data()[3] = x.data()[8] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> ones(9, 1.0f);
  snake_beta(x.rows(), ones, ones, x.rows());
  EXPECT_TRUE(std::isnan(x.data()[3]) && std::isnan(x.data()[8]));
  EXPECT_EQ(x.data()[0], 0.0f);
}

}  // namespace
}  // namespace calliope::kernels
