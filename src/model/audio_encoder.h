#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/steps.h"
#include "model/config.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// Tokens that `frames` mel frames become: three halvings of every chunk of 2 n_window frames (100 frames -> 13 tokens).
int64_t audio_tokens(int64_t frames, const AudioConfig& config);

/// Rows of all parts, one after the other: [sum of rows, cols].
tensor::Tensor joined_rows(std::span<const tensor::Tensor> parts);

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

  // The parts of encode(), for a sound that comes piece by piece. A chunk is final with its frames, a block with its
  // chunks.

  /// Unsupported when the model has no audio encoder; the rest needs one.
  Result<void> check() const;
  /// Mel frames of a chunk, and chunks of a block.
  int64_t chunk_frames() const;
  int64_t block_chunks() const;
  /// mel [frames, num_mel_bins] of one chunk, padded with zeros to padded_frames before the convolutions ->
  /// [audio_tokens(frames), d_model], with positions.
  tensor::Tensor embed_chunk(tensor::ConstRows mel, int64_t padded_frames) const;
  /// The embedded chunks of one block, one after the other: [tokens, d_model] -> [tokens, output_dim]. Pauses after
  /// every layer.
  Steps<tensor::Tensor> encode_block(tensor::Tensor embedded) const;

  const AudioConfig& config() const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calliope::model
