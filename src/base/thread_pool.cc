#include "base/thread_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cores.h"

namespace calliope {
namespace {

// Whether this thread runs a piece of a job, as workers do whenever they run anything: what is nested runs alone.
thread_local bool inside_job = false;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");  // `yield` does nothing on most cores
#endif
}

// A number that threads sleep on until it changes.
class Signal {
 public:
  uint32_t value() const { return value_.load(); }
  void raise(int sleepers_to_wake) {
    value_.fetch_add(1);
    wake(sleepers_to_wake);
  }
  void wake(int count) {
    if (sleepers_.load() > 0) syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
  }
  void sleep_while(uint32_t seen) {
    sleepers_.fetch_add(1);
    while (value() == seen) syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    sleepers_.fetch_sub(1);
  }

 private:
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  alignas(64) std::atomic<uint32_t> value_{0};
  std::atomic<int> sleepers_{0};
};

struct Job {
  detail::RangeBody body = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  int64_t chunk = 0;  // elements of a piece
  int64_t pieces = 0;
  int64_t lanes = 0;  // pieces are dealt out to so many threads beforehand
};

// The pieces dealt to one thread. Whoever is done with its own takes from others', so only then do two threads touch
// one cache line.
struct alignas(64) Lane {
  std::atomic<uint32_t> state{0};  // how many pieces (high half), and the next one to take
  std::atomic<int> left{0};        // pieces not yet done
};

// What one caller of parallel_for shares with the workers.
struct alignas(64) Slot {
  std::atomic<bool> taken{false};
  std::atomic<int> open{0};  // lanes with a job in them; 0 when there is none
  Job job;                   // only who holds a piece may look: it stays until all are done
  std::unique_ptr<Lane[]> lanes;

  bool has_pieces() const {
    for (int i = 0, count = open.load(std::memory_order_acquire); i < count; ++i) {
      if (is_left(lanes[static_cast<size_t>(i)].state.load(std::memory_order_relaxed))) return true;
    }
    return false;
  }
  static bool is_left(uint32_t state) { return (state & 0xffff) < state >> 16; }

  void deal(const Job& given) {
    job = given;
    for (int64_t i = 0; i < job.lanes; ++i) {
      const auto pieces = static_cast<uint32_t>(first_of(i + 1) - first_of(i));
      lanes[static_cast<size_t>(i)].left.store(static_cast<int>(pieces), std::memory_order_relaxed);
      lanes[static_cast<size_t>(i)].state.store(pieces << 16, std::memory_order_release);
    }
    open.store(static_cast<int>(job.lanes), std::memory_order_release);
  }
  int64_t first_of(int64_t lane) const { return job.pieces * lane / job.lanes; }

  // Runs pieces until there are none, from lane `own` on, as long as `may_go_on`.
  template <class MayGoOn>
  void drain(int own, MayGoOn may_go_on) {
    const int count = open.load(std::memory_order_acquire);
    for (int i = 0; i < count; ++i) {
      const int at = (own + i) % count;
      Lane& lane = lanes[static_cast<size_t>(at)];
      // A look before the claim, so that `next` grows by no more than the number of threads beyond the pieces.
      while (is_left(lane.state.load(std::memory_order_relaxed)) && may_go_on()) {
        const uint32_t state = lane.state.fetch_add(1, std::memory_order_acq_rel);
        if (!is_left(state)) break;
        const int64_t begin = (first_of(at) + (state & 0xffff)) * job.chunk;
        job.body(job.context, begin, std::min(begin + job.chunk, job.count));
        lane.left.fetch_sub(1, std::memory_order_release);
      }
    }
  }

  // Nobody waits for a worker that has not woken up, or was sent away by the scheduler, before it took a piece.
  void wait() {
    for (int64_t i = 0; i < job.lanes; ++i) {
      for (int spins = 0; lanes[static_cast<size_t>(i)].left.load(std::memory_order_acquire) != 0;) {
        if (++spins < 2000)
          pause();
        else
          std::this_thread::yield();
      }
    }
    open.store(0, std::memory_order_relaxed);
  }
};

// Workers spin for some ten microseconds between the jobs of one forward pass, then sleep on a futex, so that an idle
// pool costs nothing. Sleepers are woken two at a time, and those wake two more each, so that no caller wakes a
// hundred.
class Pool {
 public:
  Pool(int threads, bool pin) : threads_(threads) {
    for (Slot& slot : slots_) slot.lanes = std::make_unique<Lane[]>(static_cast<size_t>(threads));
    const auto cores = allowed_cores();
    pin = pin && static_cast<int>(cores.size()) == threads;
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this, i, core = pin ? cores[static_cast<size_t>(i)] : Core()] {
        stay_on(core);
        work(i);
      });
    }
  }
  ~Pool() {
    stopping_.store(true);
    signal_.raise(INT_MAX);
    for (auto& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  void run(Job job) {
    const int callers = callers_.fetch_add(1) + 1;
    if (Slot* slot = callers < threads_ ? take_slot() : nullptr) {
      job.lanes = std::min<int64_t>(job.pieces, threads_);
      slot->deal(job);
      signal_.raise(static_cast<int>(std::min<int64_t>(2, job.pieces - 1)));
      slot->drain(0, [] { return true; });
      slot->wait();
      slot->taken.store(false, std::memory_order_release);
    } else {  // nobody to share with
      job.body(job.context, 0, job.count);
    }
    callers_.fetch_sub(1);
  }

 private:
  Slot* take_slot() {
    for (Slot& slot : slots_) {
      if (!slot.taken.exchange(true, std::memory_order_acquire)) return &slot;
    }
    return nullptr;
  }

  static void stay_on(const Core& core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : core) {
      if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
    }
    if (CPU_COUNT(&set) > 0) sched_setaffinity(0, sizeof set, &set);  // where it may not, the system picks
  }

  void work(int self) {
    inside_job = true;
    // Every further caller runs on a core of its own: as many workers stand back.
    const auto wanted = [&] { return self <= threads_ - callers_.load(std::memory_order_relaxed); };
    for (uint32_t seen = 0;;) {
      for (int spins = 0; signal_.value() == seen && spins < kSpins; ++spins) pause();
      if (signal_.value() == seen) {
        signal_.sleep_while(seen);
        if (stopping_.load()) return;
        if (std::ranges::any_of(slots_, &Slot::has_pieces)) signal_.wake(2);
      }
      if (stopping_.load()) return;
      seen = signal_.value();
      for (size_t i = 0; i < slots_.size(); ++i)
        slots_[(static_cast<size_t>(self) + i) % slots_.size()].drain(self, wanted);
    }
  }

  static constexpr int kSpins = 2000;
  const int threads_;
  std::array<Slot, 4> slots_;
  Signal signal_;
  std::atomic<int> callers_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

std::mutex pool_mutex;
std::shared_ptr<Pool> pool;
std::atomic<int> wanted_threads{0};
std::atomic<bool> wanted_pinning{[] {
  const char* text = std::getenv("CALLIOPE_PIN");
  return !text || std::string_view(text) != "off";
}()};

std::shared_ptr<Pool> the_pool() {
  std::lock_guard lock(pool_mutex);
  if (!pool) pool = std::make_shared<Pool>(thread_count(), wanted_pinning.load());
  return pool;
}

}  // namespace

void set_thread_count(int threads) {
  std::lock_guard lock(pool_mutex);
  wanted_threads.store(std::max(1, threads));
  pool.reset();
}

int thread_count() {
  static const int usable = usable_cores();
  const int wanted = wanted_threads.load();
  return wanted > 0 ? wanted : usable;
}

void set_thread_pinning(bool pin) {
  std::lock_guard lock(pool_mutex);
  wanted_pinning.store(pin);
  pool.reset();
}

namespace detail {

void parallel_for(int64_t count, int64_t grain, RangeBody body, void* context) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (count <= grain || inside_job || thread_count() == 1) return body(context, 0, count);
  const auto threads = the_pool();
  // Eight pieces a thread even out cores of unequal speed.
  const int64_t most = std::min<int64_t>((count + grain - 1) / grain, 8 * threads->threads());
  const int64_t chunk = (count + most - 1) / most, pieces = (count + chunk - 1) / chunk;
  inside_job = true;
  threads->run({.body = body, .context = context, .count = count, .chunk = chunk, .pieces = pieces});
  inside_job = false;
}

}  // namespace detail
}  // namespace calliope
