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

void CodePredictor::predict(std::span<const FrameCodes> frames, CodePredictorScratch& s) const {
  const DecoderConfig& config = config_.decoder;
  const auto count = static_cast<int64_t>(frames.size()), size = config.hidden_size;
  if (!s.memory) {
    // A frame's sequence has as many tokens as there are groups.
    const int64_t tokens = std::min((config_.num_code_groups + 15) / 16 * 16, kernels::PageLayout::kMaxTokens);
    s.memory = std::make_shared<KvPages>(config, KvPages::Options{.tokens = tokens});
  }
  while (s.states.size() < frames.size()) s.states.emplace_back(s.memory);

  s.sequences.clear();
  s.positions.clear();
  s.x.resize({2 * count, size});
  for (int64_t b = 0; b < count; ++b) {
    const FrameCodes& frame = frames[static_cast<size_t>(b)];
    CHECK(static_cast<int64_t>(frame.codes.size()) == config_.num_code_groups - 1);
    CHECK(static_cast<int64_t>(frame.hidden.size()) == size && static_cast<int64_t>(frame.code0.size()) == size);
    s.states[static_cast<size_t>(b)].reset();
    s.sequences.push_back({&s.states[static_cast<size_t>(b)], 2});
    std::copy(frame.hidden.begin(), frame.hidden.end(), s.x.rows().row(2 * b));
    std::copy(frame.code0.begin(), frame.code0.end(), s.x.rows().row(2 * b + 1));
    s.positions.push(0);
    s.positions.push(1);
  }
  s.last.resize({count, size});
  s.logits.resize({count, config.vocab_size});
  for (int64_t group = 0; group + 1 < config_.num_code_groups; ++group) {
    const auto i = static_cast<size_t>(group);
    decoder_.forward(s.x.rows(), s.positions, s.sequences, s.decoder);                        // [B or 2 B, D]
    const int64_t rows = s.x.shape()[0] / count;
    for (int64_t b = 0; b < count; ++b) std::copy_n(s.x.rows().row(b * rows + rows - 1), size, s.last.rows().row(b));
    kernels::linear(s.last.rows(), lm_head_[i], s.logits.rows());                             // [B, vocabulary]
    s.x.resize({count, size});
    s.positions.clear();
    for (int64_t b = 0; b < count; ++b) {
      const FrameCodes& frame = frames[static_cast<size_t>(b)];
      frame.codes[i] = (*frame.pick)({s.logits.rows().row(b), static_cast<size_t>(config.vocab_size)});
      const std::span<float> next(s.x.rows().row(b), static_cast<size_t>(size));
      codec_embedding_[i].row(frame.codes[i]).to_f32(next);
      for (size_t c = 0; c < frame.sum.size(); ++c) frame.sum[c] += next[c];
      s.positions.push(group + 2);
      s.sequences[static_cast<size_t>(b)].rows = 1;
    }
  }
}

}  // namespace calliope::model
