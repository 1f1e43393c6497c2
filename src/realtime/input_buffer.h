#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "media/wire_sound.h"

namespace calliope::realtime {

/// What the client has sent and nobody has taken yet, as mono 16 kHz. Positions are samples since the session began.
class InputBuffer {
 public:
  static constexpr int kRate = 16000;

  /// Appends bytes of the wire's format: whole samples.
  void append(std::span<const uint8_t> bytes, media::WireFormat format);

  int64_t begin() const { return begin_; }
  int64_t end() const { return begin_ + static_cast<int64_t>(samples_.size()); }
  /// Samples [from, to), which must be here.
  std::span<const float> view(int64_t from, int64_t to) const;
  /// Forgets what lies before a position.
  void drop_until(int64_t position);

 private:
  std::vector<float> samples_;
  int64_t begin_ = 0;
  std::optional<media::WireFormat> format_;
  std::unique_ptr<media::Resampler> resampler_;
};

constexpr int64_t ms_of(int64_t samples) { return samples * 1000 / InputBuffer::kRate; }
constexpr int64_t samples_of_ms(int64_t ms) { return ms * InputBuffer::kRate / 1000; }

}  // namespace calliope::realtime
