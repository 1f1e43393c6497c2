#include "base/cores.h"

#include <gtest/gtest.h>

#include <set>

#include <sched.h>

namespace calliope {
namespace {

TEST(Cores, ListsAsTheKernelWritesThem) {
  EXPECT_EQ(parse_cpu_list("0\n"), std::vector<int>({0}));
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11\n"), std::vector<int>({0, 1, 2, 3, 8, 10, 11}));
  for (const char* bad : {"", "x", "-1", "1000000-2000000"}) EXPECT_TRUE(parse_cpu_list(bad).empty()) << bad;
  EXPECT_EQ(parse_cpu_list("4,x"), std::vector<int>({4}));
}

TEST(Cores, LimitsOfAGroup) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  for (const char* none : {"", "max 100000\n", "-1 100000", "100000", "100000 0"}) EXPECT_FALSE(parse_cpu_max(none)) << none;
}

TEST(Cores, TheAllowedOnesAreThoseOfTheAffinity) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  std::set<int> seen;
  for (const Core& core : allowed_cores()) {
    for (const int cpu : core) EXPECT_TRUE(seen.insert(cpu).second && CPU_ISSET(cpu, &before)) << cpu;
  }
  EXPECT_EQ(static_cast<int>(seen.size()), CPU_COUNT(&before));
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(seen.size()));

  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(*seen.rbegin(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(allowed_cores(), std::vector<Core>({{*seen.rbegin()}}));
  EXPECT_EQ(usable_cores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace calliope
