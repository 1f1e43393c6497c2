#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace calliope::assistant {

/// A sound that is still being recorded: mono, 16 kHz, samples in [-1, 1]. One thread appends, another reads. A request
/// that holds one is answered when it has ended; until then the engine encodes and runs what is there.
class LiveSound {
 public:
  static constexpr int kSampleRate = 16000;

  /// Adds samples; nothing after end().
  void append(std::span<const float> samples) {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      samples_.insert(samples_.end(), samples.begin(), samples.end());
      wake = wake_;
    }
    if (wake) wake();
  }
  /// No more comes: the request may be answered.
  void end() {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      wake = wake_;
    }
    if (wake) wake();
  }

  /// Samples so far, and whether these are all.
  struct Size {
    size_t samples = 0;
    bool ended = false;
  };
  Size size() const {
    const std::lock_guard lock(mutex_);
    return {samples_.size(), ended_};
  }
  /// Appends samples [from, size) to `out`.
  void read(size_t from, std::vector<float>& out) const {
    const std::lock_guard lock(mutex_);
    if (from < samples_.size()) out.insert(out.end(), samples_.begin() + static_cast<std::ptrdiff_t>(from), samples_.end());
  }
  /// `wake` is called, from the appending thread, whenever more is there; it must not block. Empty: no longer.
  void attach(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<float> samples_;
  bool ended_ = false;
  std::function<void()> wake_;
};

}  // namespace calliope::assistant
