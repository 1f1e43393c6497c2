#include "model/log_mel_stream.h"

#include <algorithm>

#include "base/check.h"

namespace calliope::model {

Result<void> LogMelStream::append(std::span<const float> samples) {
  TRY_VOID(LogMel::check_finite(samples));
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  return {};
}

// Frames whose window lies in what is there: nothing reflected or padded at the end. The first is reflected at the start.
int64_t LogMelStream::certain_frames() const {
  const LogMelConfig& config = mel_->config();
  const int64_t beyond = samples() - config.n_fft / 2;
  return beyond <= 0 ? 0 : beyond / config.hop_samples + 1;
}

bool LogMelStream::step(int64_t most) {
  const int64_t count = std::min(most, certain_frames() - certain_), mels = mel_->config().mels;
  if (count <= 0) return false;
  reopen();
  energies_.resize(static_cast<size_t>((certain_ + count) * mels));
  const std::span<float> fresh = std::span(energies_).subspan(static_cast<size_t>(certain_ * mels));
  mel_->energies(samples_, samples(), certain_, {fresh.data(), count, mels, mels});
  loudest_ = loudest_certain_ = std::max(loudest_certain_, std::ranges::max(fresh));
  frames_ = certain_ += count;
  return true;
}

Result<void> LogMelStream::end(int64_t padded_samples) {
  CHECK(certain_ == certain_frames());
  reopen();
  TRY(const LogMel::Extent extent, mel_->extent(samples(), padded_samples));
  const int64_t mels = mel_->config().mels, first = std::min(certain_, extent.heard), last = extent.heard - first;
  // A certain frame may lie beyond those that count: the one that starts at the very end is dropped.
  loudest_ = first == certain_ ? loudest_certain_ : std::ranges::max(std::span(energies_).first(static_cast<size_t>(first * mels)));
  if (last > 0) {
    energies_.resize(static_cast<size_t>((first + last) * mels));
    const std::span<float> fresh = std::span(energies_).subspan(static_cast<size_t>(first * mels));
    mel_->energies(samples_, padded_samples, first, {fresh.data(), last, mels, mels});
    loudest_ = std::max(loudest_, std::ranges::max(fresh));
  }
  frames_ = extent.frames;
  return {};
}

void LogMelStream::reopen() {
  energies_.resize(static_cast<size_t>(certain_ * mel_->config().mels));
  frames_ = certain_;
  loudest_ = loudest_certain_;
}

void LogMelStream::features(int64_t first, float loudest, tensor::Rows out) const {
  CHECK(first >= 0 && first + out.rows <= frames_ && out.stride == out.cols);
  std::copy_n(energies_.data() + first * out.cols, out.rows * out.cols, out.data);
  LogMel::scale({out.data, static_cast<size_t>(out.rows * out.cols)}, loudest);
}

}  // namespace calliope::model
