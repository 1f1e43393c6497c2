#include "engine/passage_sound.h"

#include <algorithm>
#include <cmath>

#include "assistant/event.h"

namespace calliope::engine {
namespace {

constexpr int64_t kBlock = assistant::kSpeechSampleRate / 100;  // 10 ms
constexpr float kSilence = 0.005f;                              // -46 dB; consonants are louder
constexpr int64_t kLead = 6 * kBlock;   // kept before what is first heard: soft consonants begin there
constexpr int64_t kTail = 20 * kBlock;  // and after the last
constexpr int64_t kFade = kBlock / 2;

}  // namespace

void PassageSound::push(std::span<const float> samples, std::vector<float>& out) {
  for (const float sample : samples) {
    kept_.push_back(sample);
    ++pushed_;
    block_ = std::max(block_, std::abs(sample));
    if (++block_samples_ < kBlock) continue;
    if (block_ >= kSilence) voiced_ = pushed_;
    block_ = 0;
    block_samples_ = 0;
    if (voiced_ < 0 && static_cast<int64_t>(kept_.size()) > kLead) {
      kept_.erase(kept_.begin(), kept_.begin() + kBlock);
      begin_ += kBlock;
    }
  }
  // As much as no end can change any more.
  if (voiced_ >= 0) emit(std::min(pushed_, voiced_ + kTail) - kFade, out);
}

void PassageSound::finish(std::vector<float>& out) {
  if (block_ >= kSilence) voiced_ = pushed_;
  if (voiced_ < 0) return;
  const int64_t end = std::min(pushed_, voiced_ + kTail), left = end - given();
  const int64_t fade = std::min(left, kFade);
  for (int64_t i = 0; i < fade; ++i) {
    kept_[static_cast<size_t>(left - fade + i)] *= static_cast<float>(fade - i) / static_cast<float>(fade + 1);
  }
  emit(end, out);
}

// Samples up to `to`, counted as they were pushed.
void PassageSound::emit(int64_t to, std::vector<float>& out) {
  const int64_t count = to - given();
  if (count <= 0) return;
  for (int64_t i = 0; i < count; ++i) {
    const float rise = static_cast<float>(std::min(out_ + i + 1, kFade)) / static_cast<float>(kFade);
    out.push_back(kept_[static_cast<size_t>(i)] * rise);
  }
  kept_.erase(kept_.begin(), kept_.begin() + count);
  out_ += count;
}

}  // namespace calliope::engine
