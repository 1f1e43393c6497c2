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

TEST(Statistics, SharesOfParts) {
  // Items of equal size are a share of items, whose interval is known: 30 of 100 is 0.21 to 0.39.
  std::vector<Share> shares;
  for (int i = 0; i < 100; ++i) shares.push_back({i < 30 ? 5 : 0, 5});
  EXPECT_NEAR(bootstrap(shares).low, 0.21, 0.02);
  EXPECT_NEAR(bootstrap(shares).high, 0.39, 0.02);
  EXPECT_EQ(bootstrap(shares).low, bootstrap(shares).low);
  shares.push_back({500, 500});  // one long item weighs as much as all others, and may be missing
  EXPECT_LT(bootstrap(shares).low, 0.4);
  EXPECT_GT(bootstrap(shares).high, 0.75);
  EXPECT_EQ(bootstrap({}).high, 1);
}

TEST(Statistics, PermutationTest) {
  const std::vector<Share> none(10, {0, 4}), all(10, {4, 4});
  std::vector<Share> one = none;
  one[3] = {1, 4};
  EXPECT_NEAR(permutation_test(none, all), 2.0 / 1024, 1e-3);  // only all swapped or none are as great
  EXPECT_EQ(permutation_test(none, none), 1);
  EXPECT_EQ(permutation_test(none, one), 1);  // one item could as well be the other's
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
