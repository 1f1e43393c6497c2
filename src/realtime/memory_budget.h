#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace calliope::realtime {

/// What all conversations together may hold in memory: items, sounds, pictures, requests, events on their way. Any
/// thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t most) : most_(most) {}
  size_t used() const { return used_; }
  size_t most() const { return most_; }
  /// Whether so many bytes more fit when so many are given up for them.
  bool has_room_for(size_t bytes, size_t given_up = 0) const { return used_ + bytes <= most_ + given_up; }

 private:
  friend class MemoryShare;
  const size_t most_;
  std::atomic<size_t> used_ = 0;
};

/// A part of it, given back in the end. Null: without bounds.
class MemoryShare {
 public:
  explicit MemoryShare(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
  ~MemoryShare() { set(0); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  void set(size_t bytes) {
    if (budget_) budget_->used_ += bytes - bytes_;  // may wrap around, as the sum does
    bytes_ = bytes;
  }
  bool has_room_for(size_t bytes, size_t given_up = 0) const {
    return !budget_ || budget_->has_room_for(bytes, given_up);
  }
  size_t most() const { return budget_ ? budget_->most() : 0; }

 private:
  const std::shared_ptr<MemoryBudget> budget_;
  size_t bytes_ = 0;
};

/// A sound or picture that counts as long as anybody holds it: an item, an answer, a request that the engine has.
template <class T>
struct Counted {
  explicit Counted(std::shared_ptr<MemoryBudget> budget) : memory(std::move(budget)) {}
  T value{};
  MemoryShare memory;

  /// Something of what it holds, that keeps it.
  template <class Part>
  static std::shared_ptr<Part> part(std::shared_ptr<Counted> whole, Part& what) {
    return std::shared_ptr<Part>(std::move(whole), &what);
  }
};

}  // namespace calliope::realtime
