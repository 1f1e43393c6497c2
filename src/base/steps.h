#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"

namespace calliope {

/// Where a computation may be left and gone on with: `co_yield Pause{};`
struct Pause {};

/// A long computation as a coroutine that pauses between its steps and ends with `co_return T`. Whoever holds it decides when
/// the next step runs, and drops it by destroying it. What it refers to must outlive it.
template <class T>
class Steps {
 public:
  struct promise_type {
    std::optional<T> value;
    std::exception_ptr error;
    Steps get_return_object() { return Steps(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(Pause) noexcept { return {}; }
    void return_value(T result) { value.emplace(std::move(result)); }
    void unhandled_exception() { error = std::current_exception(); }
  };

  Steps(Steps&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Steps& operator=(Steps&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Steps() {
    if (handle_) handle_.destroy();
  }

  /// Runs to the next pause; false when there is none and take() may be called. Throws what the computation throws.
  bool step() {
    if (handle_.done()) return false;
    handle_.resume();
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return !handle_.done();
  }
  /// The result, once.
  T take() {
    CHECK(handle_.done() && handle_.promise().value);
    return *std::move(handle_.promise().value);
  }
  /// All steps at once.
  T run() {
    while (step()) {
    }
    return take();
  }

 private:
  explicit Steps(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace calliope
