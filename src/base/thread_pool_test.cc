#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace calliope {
namespace {

// How often each index of [0, count) was visited.
std::vector<int> visits(int64_t count, int64_t grain) {
  std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)].fetch_add(1);
  });
  return {seen.begin(), seen.end()};
}

TEST(ThreadPool, VisitsEveryIndexOnceWhateverTheThreadsAndGrain) {
  for (const int threads : {1, 2, 3, 9}) {
    set_thread_count(threads);
    for (const int64_t count : {0, 1, 2, 7, 8, 9, 100, 1001}) {
      for (const int64_t grain : {1, 3, 50, 5000}) {
        EXPECT_EQ(visits(count, grain), std::vector<int>(static_cast<size_t>(count), 1))
            << threads << " threads, " << count << " by " << grain;
      }
    }
  }
  set_thread_count(2);
}

TEST(ThreadPool, ManyShortJobsAndPausesBetweenThemLoseNothing) {
  set_thread_count(4);
  std::atomic<int64_t> sum{0};
  int64_t expected = 0;
  for (int round = 0; round < 3000; ++round) {
    parallel_for(round % 37, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum.fetch_add(i + round);
    });
    for (int64_t i = 0; i < round % 37; ++i) expected += i + round;
    // Long enough for the workers to fall asleep.
    if (round % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ASSERT_EQ(sum.load(), expected) << "after job " << round;
  }
  set_thread_count(2);
}

TEST(ThreadPool, NestedCallsAndCallersOnOtherThreadsRunAlone) {
  set_thread_count(3);
  std::atomic<int64_t> inner{0};
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto self = std::this_thread::get_id();
      parallel_for(100, 1, [&](int64_t first, int64_t last) {
        EXPECT_EQ(std::this_thread::get_id(), self);
        inner.fetch_add(last - first);
      });
    }
  });
  EXPECT_EQ(inner.load(), 800);
  std::atomic<int64_t> outer{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        parallel_for(20, 1, [&](int64_t begin, int64_t end) { outer.fetch_add(end - begin); });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(outer.load(), 3 * 300 * 20);
  set_thread_count(2);
}

}  // namespace
}  // namespace calliope
