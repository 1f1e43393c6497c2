#include "eval/statistics.h"

#include <gtest/gtest.h>

namespace calliope::eval {
namespace {

// From R: binom::binom.confint(x, n, methods = "wilson"), binom.test(b, b + c)$p.value.
TEST(Statistics, WilsonsInterval) {
  EXPECT_NEAR(wilson(81, 263).low, 0.2553, 1e-4);
  EXPECT_NEAR(wilson(81, 263).high, 0.3662, 1e-4);
  EXPECT_NEAR(wilson(0, 10).high, 0.2775, 1e-4);
  EXPECT_EQ(wilson(0, 10).low, 0);
  EXPECT_NEAR(wilson(10, 10).low, 0.7225, 1e-4);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Statistics, McNemarsExactTest) {
  EXPECT_DOUBLE_EQ(mcnemar(0, 0), 1);
  EXPECT_NEAR(mcnemar(1, 9), 0.021484375, 1e-12);
  EXPECT_NEAR(mcnemar(9, 1), 0.021484375, 1e-12);
  EXPECT_NEAR(mcnemar(5, 5), 1, 1e-12);
  EXPECT_NEAR(mcnemar(0, 6), 0.03125, 1e-12);
  EXPECT_NEAR(mcnemar(400, 500), 0.000961, 2e-5);
}

}  // namespace
}  // namespace calliope::eval
