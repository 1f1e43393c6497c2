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

// Workers spin for some ten microseconds between the jobs of one forward pass, then sleep, so that an idle pool costs
// nothing. A job is over when its pieces are done: nobody waits for a worker that has not woken up, or was sent away by
// the scheduler, before it took one.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    stopping_.store(true);
    publish(0);
    for (auto& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(const Job& job) {
    const auto pieces = static_cast<uint64_t>((job.count + job.chunk - 1) / job.chunk);
    job_ = job;
    left_.store(static_cast<int64_t>(pieces), std::memory_order_relaxed);
    publish(pieces);
    drain();
    for (int spins = 0; left_.load(std::memory_order_acquire) != 0;) {
      if (++spins < kSpins) pause(); else std::this_thread::yield();
    }
  }

 private:
  // What workers look at, in one word: the job's number, how many pieces it has, and the next one to take.
  static uint64_t number(uint64_t state) { return state >> 32; }
  static uint64_t pieces(uint64_t state) { return state >> 16 & 0xffff; }
  static uint64_t next(uint64_t state) { return state & 0xffff; }

  void publish(uint64_t pieces) {
    state_.store((number(state_.load(std::memory_order_relaxed)) + 1) << 32 | pieces << 16);
    if (sleepers_.load() == 0) return;
    { std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }

  // Takes pieces until there are none. Only who holds a piece may look at job_: it stays until all pieces are done.
  void drain() {
    for (;;) {
      const uint64_t state = state_.fetch_add(1, std::memory_order_acq_rel);
      if (next(state) >= pieces(state)) return;
      const int64_t begin = static_cast<int64_t>(next(state)) * job_.chunk;
      job_.body(job_.context, begin, std::min(begin + job_.chunk, job_.count));
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      const auto is_new = [&] { return number(state_.load()) != seen; };
      for (int spins = 0; !is_new() && spins < kSpins; ++spins) pause();
      if (!is_new()) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, is_new);
        sleepers_.fetch_sub(1);
      }
      if (stopping_.load()) return;
      seen = number(state_.load());
      drain();
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
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int64_t> left_{0};
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
  const int64_t pieces = std::min<int64_t>((count + grain - 1) / grain, std::min(4 * pool->threads(), 0x8000));
  inside_job = true;
  pool->run({body, context, count, (count + pieces - 1) / pieces});
  inside_job = false;
}

}  // namespace detail
}  // namespace calliope
