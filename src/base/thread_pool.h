#pragma once

#include <cstdint>
#include <type_traits>

namespace calliope {

/// Sets how many threads parallel_for uses, the caller included (at least 1). Call before the first parallel_for.
void set_thread_count(int threads);

/// Threads parallel_for uses, the caller included; by default usable_cores().
int thread_count();

/// Whether the threads that parallel_for starts are each bound to a core of their own. They are unless the environment
/// says CALLIOPE_PIN=off, and only when there are as many threads as cores this process may run on: with fewer, the
/// system picks free ones. Call before the first parallel_for.
void set_thread_pinning(bool pin);

namespace detail {
using RangeBody = void (*)(void* context, int64_t begin, int64_t end);
void parallel_for(int64_t count, int64_t grain, RangeBody body, void* context);
}  // namespace detail

/// Runs body(begin, end) over disjoint ranges that cover [0, count), each at least `grain` long but the last.
/// Returns when all have run. Nested calls run on the caller alone; callers on several threads share the others, so
/// that callers and helpers together are no more than thread_count(). The body must not throw. Where the ranges begin
/// and end depends on count, grain and thread_count(), and on whether there was anyone to share with.
template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  detail::parallel_for(
      count, grain,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace calliope
