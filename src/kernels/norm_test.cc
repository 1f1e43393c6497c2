#include "kernels/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::Tensor;

// Rows far from zero, where a careless variance loses its digits.
struct Case {
  Tensor x, w, b, y;
  Case(int64_t rows, int64_t cols) : x({rows, cols}), w({cols}), b({cols}), y({rows, cols + 1}) {
    std::mt19937 random(static_cast<unsigned>(rows * 1000 + cols));
    std::normal_distribution<float> normal;
    for (float& value : x.span()) value = 30 + normal(random);
    for (float& value : w.span()) value = normal(random);
    for (float& value : b.span()) value = normal(random);
    for (float& value : y.span()) value = -7.5f;
  }
};

TEST(Norm, RmsAndLayerNormAreTheirDefinitionsAtEveryTail) {
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const int64_t cols : {1, 3, 7, 8, 9, 24, 129, 1024}) {
      for (const int64_t rows : {1, 40}) {
        Case c(rows, cols);
        const auto check = [&](bool layer) {
          const double eps = 1e-6;
          for (int64_t t = 0; t < rows; ++t) {
            const float* x = c.x.rows().row(t);
            double mean = 0, squares = 0;
            for (int64_t i = 0; i < cols; ++i) mean += x[i] / double(cols);
            if (!layer) mean = 0;
            for (int64_t i = 0; i < cols; ++i) squares += (x[i] - mean) * (x[i] - mean);
            const double scale = 1 / std::sqrt(squares / double(cols) + eps);
            for (int64_t i = 0; i < cols; ++i) {
              const double expected = (x[i] - mean) * scale * c.w.data()[i] + (layer ? c.b.data()[i] : 0);
              // The mean is rounded to f32: half an ulp of 30, times the scale.
              const double bound = 1e-6 * (std::abs(expected) + 1) + (layer ? 2e-6 * scale * std::abs(c.w.data()[i]) : 0);
              ASSERT_NEAR(c.y.rows().row(t)[i], expected, bound) << name_of(isa) << " " << cols << (layer ? " layer" : " rms");
            }
            ASSERT_EQ(c.y.rows().row(t)[cols], -7.5f) << "written beyond the row";
          }
        };
        rms_norm(c.x.rows(), c.w.view(), 1e-6f, c.y.rows().columns(0, cols));
        check(false);
        layer_norm(c.x.rows(), c.w.view(), c.b.view(), 1e-6f, c.y.rows().columns(0, cols));
        check(true);
      }
    }
  }
  set_isa(best_isa());
}

}  // namespace
}  // namespace calliope::kernels
