#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace calliope::engine {
namespace {

int pick(Sampler& sampler, std::vector<float> logits) { return sampler.pick(logits); }

TEST(Sampler, GreedyTakesTheLikeliestAndTheLowestOfEquals) {
  Sampler sampler({}, 1);
  EXPECT_EQ(pick(sampler, {0.1f, 2.0f, 2.0f, -1.0f}), 1);
}

TEST(Sampler, RepetitionPenaltyCountsEachIdOnce) {
  Sampler sampler({.repetition_penalty = 2.0f}, 1);
  EXPECT_EQ(pick(sampler, {4.0f, 3.0f, -1.0f}), 0);
  EXPECT_EQ(pick(sampler, {4.0f, 3.0f, -1.0f}), 1);   // 4 / 2 < 3
  EXPECT_EQ(pick(sampler, {4.0f, 3.0f, -1.0f}), 0);   // 4 / 2 > 3 / 2, penalised once only
  Sampler negative({.repetition_penalty = 2.0f}, 1);
  EXPECT_EQ(pick(negative, {-1.0f, -1.5f}), 0);
  EXPECT_EQ(pick(negative, {-1.0f, -1.5f}), 1);       // -1 * 2 < -1.5
}

TEST(Finite, TellsNumbersFromDamage) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(all_finite({}));
  EXPECT_TRUE(all_finite(std::vector<float>{0.0f, -3e38f, 1e-45f}));
  EXPECT_FALSE(all_finite(std::vector<float>{0.0f, std::nanf(""), 1.0f}));
  EXPECT_FALSE(all_finite(std::vector<float>{0.0f, -kInfinity}));
  EXPECT_EQ(not_finite("talker").code, ErrorCode::internal);
}

TEST(Sampler, RepetitionPenaltyCountsThePrompt) {
  Sampler sampler({.repetition_penalty = 2.0f}, 1);
  sampler.remember(std::vector<int32_t>{0, 1, 0});
  EXPECT_EQ(pick(sampler, {4.0f, 3.0f, 2.5f}), 2);  // 4 / 2, 3 / 2 < 2.5
  EXPECT_EQ(pick(sampler, {4.0f, 3.0f, 2.5f}), 0);  // 4 / 2 > 2.5 / 2
}

TEST(Sampler, SuppressedIdsAreNeverDrawn) {
  Sampler sampler({.temperature = 1.0f}, 7);
  sampler.suppress(1, 4, 2);
  for (int i = 0; i < 200; ++i) {
    const int id = pick(sampler, {0.0f, 9.0f, 0.0f, 9.0f});
    EXPECT_TRUE(id == 0 || id == 2) << id;
  }
}

TEST(Sampler, DrawsByProbabilityWithinTopKAndTopP) {
  const std::vector<float> logits = {0.0f, 1.0f, 2.0f, 3.0f};  // probabilities 0.032 0.087 0.237 0.644
  std::map<int, int> all, top_k, top_p;
  Sampler a({.temperature = 1.0f}, 1), b({.temperature = 1.0f, .top_k = 2}, 2), c({.temperature = 1.0f, .top_p = 0.7f}, 3);
  for (int i = 0; i < 20000; ++i) {
    ++all[pick(a, logits)];
    ++top_k[pick(b, logits)];
    ++top_p[pick(c, logits)];
  }
  EXPECT_NEAR(all[3] / 20000.0, 0.644, 0.02);
  EXPECT_NEAR(all[0] / 20000.0, 0.032, 0.01);
  EXPECT_EQ(top_k.size(), 2u);
  EXPECT_NEAR(top_k[3] / 20000.0, 0.731, 0.02);
  EXPECT_EQ(top_p.size(), 2u);  // 0.644 < 0.7 <= 0.644 + 0.237
}

TEST(Sampler, TheSeedDecides) {
  Sampler a({.temperature = 1.0f}, 5), b({.temperature = 1.0f}, 5);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(pick(a, {1, 1, 1, 1, 1}), pick(b, {1, 1, 1, 1, 1}));
}

TEST(Sampler, AmongWhatIsAllowedTheLikeliest) {
  Sampler sampler({}, 1);
  std::vector<float> logits = {1.0f, 5.0f, 3.0f, 3.0f, 4.0f};
  EXPECT_EQ(sampler.pick(logits, [](int) { return true; }), 1);
  EXPECT_EQ(sampler.pick(logits, [](int id) { return id != 1 && id != 4; }), 2);
  EXPECT_EQ(sampler.pick(logits, [](int id) { return id == 0; }), 0);
  EXPECT_EQ(sampler.pick(logits, [](int) { return false; }), -1);
}

TEST(Sampler, DrawingAmongWhatIsAllowedRenormalises) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  const auto shares = [&](const SamplerOptions& options) {
    Sampler sampler(options, 3);
    std::map<int, int> counts;
    for (int i = 0; i < 20000; ++i) {
      std::vector<float> copy = logits;
      ++counts[sampler.pick(copy, [](int id) { return id != 0; })];
    }
    EXPECT_EQ(counts.count(0), 0u);
    return counts;
  };
  auto all = shares({.temperature = 1.0f});
  EXPECT_NEAR(all[1] / 20000.0, 0.6, 0.02);
  EXPECT_NEAR(all[2] / 20000.0, 0.3, 0.02);
  EXPECT_NEAR(all[3] / 20000.0, 0.1, 0.02);
  auto two = shares({.temperature = 1.0f, .top_k = 2});
  EXPECT_NEAR(two[1] / 20000.0, 2.0 / 3, 0.02);
  EXPECT_EQ(two.count(3), 0u);
  auto most = shares({.temperature = 1.0f, .top_p = 0.55f});
  EXPECT_EQ(most[1], 20000);
}

}  // namespace
}  // namespace calliope::engine
