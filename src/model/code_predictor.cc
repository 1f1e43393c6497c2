#include "model/code_predictor.h"

#include <algorithm>

#include "model/weight_reader.h"

namespace calliope::model {

Result<CodePredictor> CodePredictor::load(const Weights& weights, const CodePredictorConfig& config) {
  const std::string prefix = "talker.code_predictor.";
  const int64_t vocabulary = config.decoder.vocab_size, hidden = config.decoder.hidden_size;
  CodePredictor predictor;
  predictor.config_ = config;
  TRY(predictor.decoder_, Decoder::load(weights, prefix + "model.", config.decoder));
  WeightReader reader(weights, prefix);
  for (int64_t i = 0; i + 1 < config.num_code_groups; ++i) {
    predictor.codec_embedding_.push_back(reader.take("model.codec_embedding." + std::to_string(i) + ".weight", {vocabulary, hidden}));
    predictor.lm_head_.push_back(reader.linear("lm_head." + std::to_string(i), vocabulary, hidden, false));
  }
  TRY_VOID(reader.done());
  return predictor;
}

void CodePredictor::predict(std::span<const float> hidden, std::span<const float> code0, const Picker& pick,
                            CodePredictorState& state, std::span<int32_t> codes, std::span<float> sum) const {
  const int64_t size = config_.decoder.hidden_size;
  const auto count = static_cast<size_t>(config_.num_code_groups - 1);
  CHECK(codes.size() == count && hidden.size() == static_cast<size_t>(size) && code0.size() == hidden.size());
  state.decoder.reset();
  state.decoder.reserve(config_.decoder, config_.num_code_groups);
  state.positions.clear();
  state.positions.push(0);
  state.positions.push(1);
  state.x.resize({2, size});
  std::copy(hidden.begin(), hidden.end(), state.x.rows().row(0));
  std::copy(code0.begin(), code0.end(), state.x.rows().row(1));
  state.logits.resize({1, config_.decoder.vocab_size});
  for (size_t i = 0; i < count; ++i) {
    decoder_.forward(state.x.rows(), state.positions, state.decoder);
    kernels::linear(state.x.rows().slice(state.x.shape()[0] - 1, 1), lm_head_[i], state.logits.rows());
    codes[i] = pick(state.logits.span());
    state.x.resize({1, size});
    codec_embedding_[i].row(codes[i]).to_f32(state.x.span());
    for (size_t c = 0; c < sum.size(); ++c) sum[c] += state.x.data()[c];
    state.positions.clear();
    state.positions.push(static_cast<int64_t>(i) + 2);
  }
}

}  // namespace calliope::model
