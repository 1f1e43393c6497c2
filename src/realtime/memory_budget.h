#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace calliope::realtime {

/// What all conversations together may hold in memory: items, sounds, pictures, events on their way. Any thread.
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

/// One conversation's part of it, given back when it ends. Null: without bounds.
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

}  // namespace calliope::realtime
