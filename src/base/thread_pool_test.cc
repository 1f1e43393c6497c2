#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <sched.h>

#include "base/cores.h"

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

// Waits until `count` threads have come; false after ten seconds.
class Meeting {
 public:
  explicit Meeting(int count) : left_(count) {}
  bool come() {
    left_.fetch_sub(1);
    const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (left_.load() > 0 && std::chrono::steady_clock::now() < late)
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    return left_.load() <= 0;
  }
  void open() { left_.store(0); }

 private:
  std::atomic<int> left_;
};

TEST(ThreadPool, NestedCallsRunAloneAndCallersOnOtherThreadsLoseNothing) {
  // Two pieces at once on five threads: both the caller and a worker nest, with idle workers to share with.
  set_thread_count(5);
  std::atomic<int64_t> inner{0};
  Meeting both(2);
  parallel_for(2, 1, [&](int64_t, int64_t) {
    EXPECT_TRUE(both.come());
    const auto self = std::this_thread::get_id();
    for (int round = 0; round < 50; ++round) {
      parallel_for(100, 1, [&](int64_t first, int64_t last) {
        EXPECT_EQ(std::this_thread::get_id(), self);
        if (round % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
        inner.fetch_add(last - first);
      });
    }
  });
  EXPECT_EQ(inner.load(), 2 * 50 * 100);
  set_thread_count(3);
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

TEST(ThreadPool, TwoCallersShareTheWorkersAndAreNoMoreThanTheThreads) {
  set_thread_count(4);
  Meeting begun(3), held(1 << 20);
  std::thread other([&] {
    // Two pieces that last: this caller and one worker are busy.
    parallel_for(2, 1, [&](int64_t, int64_t) {
      EXPECT_TRUE(begun.come());
      EXPECT_TRUE(held.come());
    });
  });
  EXPECT_TRUE(begun.come());
  // Of the three workers, at least one is free for this caller and at most two may help it.
  Meeting together(2);
  parallel_for(2, 1, [&](int64_t, int64_t) { EXPECT_TRUE(together.come()); });
  std::mutex mutex;
  std::set<std::thread::id> seen;
  for (int round = 0; round < 200; ++round) {
    parallel_for(64, 1, [&](int64_t, int64_t) {
      std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
  }
  EXPECT_LE(seen.size(), 3u);
  held.open();
  other.join();

  set_thread_count(2);
  Meeting busy(2), wait(1 << 20);
  std::thread first([&] {
    parallel_for(2, 1, [&, once = std::make_shared<std::atomic<bool>>()](int64_t, int64_t) {
      if (once->exchange(true)) return;
      EXPECT_TRUE(busy.come());
      EXPECT_TRUE(wait.come());
    });
  });
  EXPECT_TRUE(busy.come());
  const auto self = std::this_thread::get_id();
  for (int round = 0; round < 200; ++round) {
    parallel_for(8, 1, [&](int64_t, int64_t) { EXPECT_EQ(std::this_thread::get_id(), self); });
  }
  wait.open();
  first.join();
}

// The hardware threads each worker may run on, as it sees them itself; the caller's are left out.
std::vector<int> worker_cpus(int threads) {
  Meeting all(threads);
  std::mutex mutex;
  std::vector<int> counts;
  const auto self = std::this_thread::get_id();
  parallel_for(threads, 1, [&](int64_t, int64_t) {
    EXPECT_TRUE(all.come());
    if (std::this_thread::get_id() == self) return;
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    std::lock_guard lock(mutex);
    counts.push_back(CPU_COUNT(&set));
  });
  return counts;
}

TEST(ThreadPool, WorkersStayOnCoresOfTheirOwnWhenTheyTakeAllOfThem) {
  const auto cores = allowed_cores();
  const auto count = static_cast<int>(cores.size());
  if (count < 2) GTEST_SKIP() << "one core";
  int all = 0;
  for (const Core& core : cores) all += static_cast<int>(core.size());
  set_thread_count(count);
  set_thread_pinning(true);
  for (const int cpus : worker_cpus(count)) EXPECT_EQ(cpus, static_cast<int>(cores.back().size()));
  set_thread_pinning(false);
  for (const int cpus : worker_cpus(count)) EXPECT_EQ(cpus, all);
  set_thread_pinning(true);
  set_thread_count(count + 1);
  for (const int cpus : worker_cpus(count + 1)) EXPECT_EQ(cpus, all);
  set_thread_count(2);
}

}  // namespace
}  // namespace calliope
