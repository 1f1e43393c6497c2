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

/// Tokens that `frames` mel frames become: three halvings of every chunk of 2 n_window frames (100 frames -> 13 tokens).
int64_t audio_tokens(int64_t frames, const AudioConfig& config);

/// Hearing: Qwen3OmniMoeAudioEncoder. Chunks of 2 n_window mel frames go through three convolutions of stride 2, get
/// sinusoidal positions that restart with each chunk, and a transformer whose attention sees blocks of n_window_infer
/// frames.
class AudioEncoder {
 public:
  /// Takes the weights thinker.audio_tower.*, which must outlive the encoder.
  static Result<AudioEncoder> load(const Weights& weights, const AudioConfig& config);

  /// mel [frames, num_mel_bins] -> [audio_tokens(frames), output_dim]. invalid_argument when empty or of another width.
  Result<tensor::Tensor> encode(tensor::ConstRows mel) const;

  /// All clips of one prompt. The reference pads every chunk to the longest of the batch before the convolutions, so a
  /// clip shorter than a chunk gets a slightly different last token next to a longer clip than alone.
  Result<std::vector<tensor::Tensor>> encode(std::span<const tensor::ConstRows> clips) const;

  const AudioConfig& config() const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calliope::model
