#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>

namespace calliope {
namespace {

int allowed_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

struct Job {
  detail::RangeBody body = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  int64_t chunk = 0;
};

// Workers spin for a few microseconds between jobs of one forward pass, then sleep, so that an idle pool costs nothing.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stopping_.store(true);
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(const Job& job) {
    job_ = job;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    drain();
    for (int spins = 0; busy_.load(std::memory_order_acquire) != 0;) {
      if (++spins < kSpins) pause(); else std::this_thread::yield();
    }
  }

 private:
  void drain() {
    for (;;) {
      const int64_t begin = next_.fetch_add(job_.chunk, std::memory_order_relaxed);
      if (begin >= job_.count) return;
      job_.body(job_.context, begin, std::min(begin + job_.chunk, job_.count));
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      int spins = 0;
      while (generation_.load(std::memory_order_acquire) == seen && ++spins < kSpins) pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stopping_.load()) return;
      drain();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  static constexpr int kSpins = 2000;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  Job job_;
};

std::mutex pool_mutex;
std::unique_ptr<Pool> pool;
std::atomic<int> wanted_threads{0};
thread_local bool inside_job = false;

}  // namespace

void set_thread_count(int threads) {
  std::lock_guard lock(pool_mutex);
  wanted_threads.store(std::max(1, threads));
  pool.reset();
}

int thread_count() {
  const int wanted = wanted_threads.load();
  return wanted > 0 ? wanted : allowed_cores();
}

namespace detail {

void parallel_for(int64_t count, int64_t grain, RangeBody body, void* context) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (count <= grain || inside_job || thread_count() == 1) return body(context, 0, count);
  std::unique_lock lock(pool_mutex, std::try_to_lock);
  if (!lock) return body(context, 0, count);
  if (!pool) pool = std::make_unique<Pool>(thread_count());
  // Four chunks a thread even out cores of unequal speed.
  const int64_t pieces = std::min<int64_t>((count + grain - 1) / grain, int64_t{4} * pool->threads());
  inside_job = true;
  pool->run({body, context, count, (count + pieces - 1) / pieces});
  inside_job = false;
}

}  // namespace detail
}  // namespace calliope
