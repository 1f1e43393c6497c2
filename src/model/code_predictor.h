#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/decoder.h"

namespace calliope::model {

/// Chooses one of the logits [vocabulary], which it may change.
using Picker = std::function<int32_t(std::span<float>)>;

/// Buffers of one frame's prediction; a frame allocates nothing once they have grown.
struct CodePredictorState {
  DecoderState decoder;
  tensor::Tensor x, logits;
  Positions positions;
};

/// Predicts the residual codes of one frame, group by group: Qwen3OmniMoeTalkerCodePredictorModelForConditionalGeneration.
/// The sequence is [talker hidden, embedding of code 0, of code 1, ...]; head k reads position k + 1.
class CodePredictor {
 public:
  /// Takes talker.code_predictor.*.
  static Result<CodePredictor> load(const Weights& weights, const CodePredictorConfig& config);

  /// hidden [D] is the talker's last hidden state, code0 [D] its embedding of code 0; codes [groups - 1] come out.
  /// sum [D] gets the embeddings of those codes added: what the talker takes next.
  void predict(std::span<const float> hidden, std::span<const float> code0, const Picker& pick, CodePredictorState& state,
               std::span<int32_t> codes, std::span<float> sum) const;

  const CodePredictorConfig& config() const { return config_; }

 private:
  CodePredictorConfig config_;
  Decoder decoder_;
  std::vector<tensor::View> codec_embedding_;      // groups - 1 of [vocabulary, D]
  std::vector<kernels::LinearWeight> lm_head_;     // groups - 1 of [vocabulary, D]
};

}  // namespace calliope::model
