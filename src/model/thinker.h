#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder.h"

namespace calliope::model {

/// T tokens to run through the thinker.
struct ThinkerInput {
  tensor::Rows embeds;                        ///< [T, D]: token embeddings, media rows already in place; overwritten
  const Positions* positions = nullptr;       ///< T entries
  std::span<const int64_t> visual_rows = {};  ///< which rows of embeds are visual tokens, rising
  /// For each DeepStack layer the rows to add at visual_rows after decoder layer 0, 1, ...: [visual rows, D].
  std::span<const tensor::ConstRows> deepstack = {};
};

/// What the caller wants to see on the way. Null parts are not computed.
struct ThinkerOutput {
  std::vector<tensor::Tensor>* hidden_states = nullptr;  ///< layers + 1 of [T, D], as transformers counts and ties them
  tensor::Tensor* accept_hidden = nullptr;               ///< [T, D]: hidden_states[accept_hidden_layer], for the talker
};

/// The thinker's text model: Qwen3OmniMoeThinkerTextModel and its head.
class Thinker {
 public:
  /// Takes thinker.model.* and thinker.lm_head.weight.
  static Result<Thinker> load(const Weights& weights, const Config& config);

  /// Token embeddings. ids [T] below vocab_size, out [T, D].
  void embed(std::span<const int32_t> ids, tensor::Rows out) const;

  /// Runs input.embeds, which becomes the normed output [T, D]: rows of several sequences, one after the other, each
  /// row as it would be alone. Prefill in pieces equals prefill at once.
  void forward(const ThinkerInput& input, std::span<const SequenceRows> sequences, DecoderScratch& scratch,
               const ThinkerOutput& output = {}) const;
  /// The same for one sequence, with buffers of its own.
  void forward(const ThinkerInput& input, DecoderState& state, const ThinkerOutput& output = {}) const;

  /// hidden [T, D] as forward leaves it -> out [T, V].
  void logits(tensor::ConstRows hidden, tensor::Rows out) const;

  const DecoderConfig& config() const { return decoder_.config(); }

 private:
  Decoder decoder_;
  tensor::View embed_tokens_;
  kernels::LinearWeight lm_head_;
  int64_t accept_hidden_layer_ = -1;
};

}  // namespace calliope::model
