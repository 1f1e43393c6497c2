#pragma once

#include <cstdint>
#include <type_traits>

namespace calliope {

/// Sets how many threads parallel_for uses, the caller included (at least 1). Call before the first parallel_for.
void set_thread_count(int threads);

/// Threads parallel_for uses, the caller included; by default the cores this process may run on.
int thread_count();

namespace detail {
using RangeBody = void (*)(void* context, int64_t begin, int64_t end);
void parallel_for(int64_t count, int64_t grain, RangeBody body, void* context);
}  // namespace detail

/// Runs body(begin, end) over disjoint ranges that cover [0, count), each at least `grain` long but the last.
/// Returns when all have run. Nested calls and calls from a second thread run on the caller alone.
/// The body must not throw. The split depends on count, grain and thread_count() only.
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
