#include "realtime/input_buffer.h"

#include <algorithm>

#include "base/check.h"

namespace calliope::realtime {

void InputBuffer::append(std::span<const uint8_t> bytes, media::WireFormat format) {
  if (format_ != format) {
    if (resampler_) resampler_->finish(samples_);
    resampler_ = std::make_unique<media::Resampler>(media::wire_rate(format), kRate);
    format_ = format;
  }
  std::vector<float> samples;
  media::from_wire(bytes, format, samples);
  resampler_->push(samples, samples_);
}

std::span<const float> InputBuffer::view(int64_t from, int64_t to) const {
  CHECK(begin_ <= from && from <= to && to <= end());
  return std::span(samples_).subspan(static_cast<size_t>(from - begin_), static_cast<size_t>(to - from));
}

void InputBuffer::drop_until(int64_t position) {
  position = std::clamp(position, begin_, end());
  if (position == begin_) return;
  samples_.erase(samples_.begin(), samples_.begin() + (position - begin_));
  begin_ = position;
  // After a long turn its memory goes back.
  if (samples_.capacity() > 4 * samples_.size() + 16384) samples_.shrink_to_fit();
}

}  // namespace calliope::realtime
