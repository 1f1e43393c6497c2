#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/decoder.h"

namespace calliope::model {

/// Chooses one of the logits [vocabulary], which it may change.
using Picker = std::function<int32_t(std::span<float>)>;

/// One frame whose residual codes are to be predicted.
struct FrameCodes {
  std::span<const float> hidden;  ///< [D]: the talker's last hidden state
  std::span<const float> code0;   ///< [D]: its embedding of code 0
  const Picker* pick = nullptr;
  std::span<int32_t> codes;       ///< [groups - 1], to be filled
  std::span<float> sum;           ///< [D]: gets the embeddings of those codes added: what the talker takes next
};

/// Buffers of a prediction; no frames more than ever before allocate nothing.
struct CodePredictorScratch {
  std::shared_ptr<KvPages> memory;
  std::vector<DecoderState> states;
  std::vector<SequenceRows> sequences;
  DecoderScratch decoder;
  tensor::Tensor x, last, logits;
  Positions positions;
};

/// Predicts the residual codes of one frame, group by group: Qwen3OmniMoeTalkerCodePredictorModelForConditionalGeneration.
/// The sequence is [talker hidden, embedding of code 0, of code 1, ...]; head k reads position k + 1.
class CodePredictor {
 public:
  /// Takes talker.code_predictor.*.
  static Result<CodePredictor> load(const Weights& weights, const CodePredictorConfig& config);

  /// All frames in one pass, group by group; each comes out as it would alone.
  void predict(std::span<const FrameCodes> frames, CodePredictorScratch& scratch) const;

  const CodePredictorConfig& config() const { return config_; }

 private:
  CodePredictorConfig config_;
  Decoder decoder_;
  std::vector<tensor::View> codec_embedding_;      // groups - 1 of [vocabulary, D]
  std::vector<kernels::LinearWeight> lm_head_;     // groups - 1 of [vocabulary, D]
};

}  // namespace calliope::model
