#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// The vocoder's weights and sizes: Qwen3OmniMoeCode2Wav, codes -> waveform in [-1, 1].
class Code2Wav {
 public:
  /// Takes the weights code2wav.*, which must outlive the vocoder and its streams.
  static Result<Code2Wav> load(const Weights& weights, const Code2WavConfig& config);

  /// codes [frames * num_quantizers], frame by frame, each below codebook_size -> samples(frames) samples.
  /// invalid_argument for another length or a code out of range.
  Result<std::vector<float>> decode(std::span<const int32_t> codes) const;

  /// Samples that `frames` frames give: frames times the product of all rates, less a fixed number that the trimmed
  /// transposed convolutions cost once (1920 frames - 555 at released sizes). Never negative.
  int64_t samples(int64_t frames) const;

  const Code2WavConfig& config() const;

 private:
  friend class Code2WavStream;
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

/// The same, frame by frame. Everything is causal: after n frames in steps of any sizes, exactly the first samples(n)
/// samples of the whole have come out, bit for bit. Nothing is held back, so there is nothing to finish: when the codes
/// end, the waveform has ended.
class Code2WavStream {
 public:
  explicit Code2WavStream(const Code2Wav& model);
  ~Code2WavStream();
  Code2WavStream(Code2WavStream&&) noexcept;
  Code2WavStream& operator=(Code2WavStream&&) noexcept;

  /// codes [n * num_quantizers] of the next n >= 0 frames -> the samples they complete, valid until the next call.
  /// On an error (as in Code2Wav::decode) nothing has changed. Allocates only when n is larger than ever before.
  Result<std::span<const float>> step(std::span<const int32_t> codes);

  /// Back to the state of a new stream; keeps the memory.
  void reset();

  /// Frames taken since the start or the last reset.
  int64_t frames() const;

 private:
  struct State;
  Code2Wav model_;
  std::unique_ptr<State> state_;
};

}  // namespace calliope::model
