#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/attention.h"
#include "kernels/conv.h"
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

class Code2WavStream;

/// The next frames of one stream of several.
struct Code2WavStep {
  Code2WavStream* stream = nullptr;
  std::span<const int32_t> codes;  ///< [n * num_quantizers] of n >= 0 frames
  std::span<const float> samples;  ///< set to what they complete, valid until the scratch is used again
};

/// Buffers of a step, whatever the number of streams; a step no larger than the largest before allocates nothing.
struct Code2WavScratch {
  tensor::Tensor hidden, normed, query, keys, values, branch, gate, up, cosine, sine, unit, samples;
  std::vector<kernels::KeyRange> ranges;
  std::vector<kernels::ConvTask> convolutions;
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

  /// Several streams of one model together, up to four frames in one pass, which reads the weights once for all; each comes
  /// out as it would alone, bit for bit.
  /// On an error in any of the codes no stream has changed.
  static Result<void> step(std::span<Code2WavStep> steps, Code2WavScratch& scratch);

  /// Back to the state of a new stream; keeps the memory.
  void reset();

  /// Frames taken since the start or the last reset.
  int64_t frames() const;

 private:
  struct State;
  struct Pass;
  Code2Wav model_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Code2WavScratch> scratch_;  // of steps alone
};

}  // namespace calliope::model
