#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::Tensor;

struct Case {
  std::string name;
  void (*kernel)(tensor::Rows x);
  double (*exact)(double x);
};

const Case kCases[] = {
    {"silu", silu, [](double x) { return x / (1 + std::exp(-x)); }},
    {"gelu", gelu, [](double x) { return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5))); }},
    {"gelu_tanh", gelu_tanh,
     [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
};

TEST(Elementwise, ActivationsAreRightToAFewUlpAtEveryTail) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const Case& c : kCases) {
      for (const int64_t cols : {1, 7, 8, 9, 31, 4001}) {
        // A column behind each row that must stay as it was.
        Tensor x({2, cols + 1});
        for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = (float(i * 7919 % 4001) - 2000.0f) * 0.02f;
        const Tensor before = x;
        c.kernel(x.rows().columns(0, cols));
        for (int64_t t = 0; t < 2; ++t) {
          for (int64_t i = 0; i < cols; ++i) {
            const double v = before.rows().row(t)[i];
            // The factor 1 + erf (or its like) is rounded at an ulp of 1, whatever it comes to.
            ASSERT_NEAR(x.rows().row(t)[i], c.exact(v), 4e-7 * std::max(1e-30, std::abs(v)))
                << c.name << " " << name_of(isa) << " of " << v;
          }
          EXPECT_EQ(x.rows().row(t)[cols], before.rows().row(t)[cols]);
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Elementwise, ExtremesAndNotANumber) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const Case& c : kCases) {
      Tensor x({1, 4});
      const float values[] = {1000.0f, -1000.0f, 0.0f, NAN};
      std::copy_n(values, 4, x.data());
      c.kernel(x.rows());
      EXPECT_FLOAT_EQ(x.data()[0], 1000.0f) << c.name;
      EXPECT_NEAR(x.data()[1], 0.0f, 1e-30) << c.name;
      EXPECT_EQ(x.data()[2], 0.0f) << c.name;
      EXPECT_TRUE(std::isnan(x.data()[3])) << c.name << name_of(isa);
    }
  }
  set_isa(best_isa());
}

TEST(Elementwise, AddAndGatedSiluAtEveryTail) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const int64_t cols : {1, 8, 13}) {
      Tensor a({3, cols}), x({3, cols});
      for (int64_t i = 0; i < a.elements(); ++i) a.data()[i] = float(i), x.data()[i] = 0.5f * float(i) - 3;
      Tensor gate = x;
      add(a.rows(), x.rows());
      silu_mul(a.rows(), gate.rows());
      for (int64_t i = 0; i < a.elements(); ++i) {
        const double g = 0.5 * double(i) - 3;
        ASSERT_EQ(x.data()[i], float(i) + float(g));
        const double expected = g / (1 + std::exp(-g)) * double(i);
        ASSERT_NEAR(gate.data()[i], expected, 5e-7 * std::abs(expected));
      }
    }
  }
  set_isa(best_isa());
}

TEST(Elementwise, SoftmaxSumsToOneAndKeepsRatios) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const size_t n : {1, 5, 8, 9, 100}) {
      std::vector<float> row;
      for (size_t i = 0; i < n; ++i) row.push_back(std::sin(float(i)) * 10 + 500);
      const std::vector<float> before = row;
      softmax(row);
      EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1.0, 1e-6);
      for (size_t i = 1; i < n; ++i) {
        const double ratio = std::exp(double(before[i]) - before[0]);
        ASSERT_NEAR(row[i], row[0] * ratio, 2e-6 * row[0] * ratio + 1e-37);
      }
    }
  }
  set_isa(best_isa());
}

}  // namespace
}  // namespace calliope::kernels
