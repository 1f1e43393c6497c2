#include "base/steps.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

namespace calliope {
namespace {

Steps<int> count_to(int n, std::shared_ptr<int> held) {
  for (int i = 0; i < n; ++i) {
    ++*held;
    co_yield Pause{};
  }
  co_return *held;
}

Steps<int> twice(int n, std::shared_ptr<int> held) {
  for (int i = 0; i < 2; ++i) {
    auto inner = count_to(n, held);
    while (inner.step()) co_yield Pause{};
  }
  co_return *held;
}

Steps<int> throws() {
  co_yield Pause{};
  throw std::runtime_error("broken");
}

TEST(Steps, RunOneByOneOrAllAtOnce) {
  auto held = std::make_shared<int>(0);
  auto steps = count_to(2, held);
  EXPECT_EQ(*held, 0);
  EXPECT_TRUE(steps.step());
  EXPECT_EQ(*held, 1);
  EXPECT_TRUE(steps.step());
  EXPECT_FALSE(steps.step());
  EXPECT_FALSE(steps.step());
  EXPECT_EQ(steps.take(), 2);
  EXPECT_EQ(twice(3, held).run(), 8);
}

TEST(Steps, DroppedHalfWayTheyHoldNothing) {
  auto held = std::make_shared<int>(0);
  {
    auto steps = twice(5, held);
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(steps.step());
    auto moved = std::move(steps);
    EXPECT_TRUE(moved.step());
    EXPECT_GT(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Steps, ThrowWhatTheComputationThrows) {
  auto steps = throws();
  EXPECT_TRUE(steps.step());
  EXPECT_THROW(steps.step(), std::runtime_error);
}

}  // namespace
}  // namespace calliope
