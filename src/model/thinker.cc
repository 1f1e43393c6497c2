#include "model/thinker.h"

#include <algorithm>

#include "model/weight_reader.h"

namespace calliope::model {

using tensor::Rows;
using tensor::Tensor;

Result<Thinker> Thinker::load(const Weights& weights, const Config& config) {
  const DecoderConfig& text = config.thinker.text;
  Thinker thinker;
  TRY(thinker.decoder_, Decoder::load(weights, "thinker.model.", text));
  WeightReader reader(weights, "thinker.");
  thinker.embed_tokens_ = reader.take("model.embed_tokens.weight", {text.vocab_size, text.hidden_size});
  // A head of its own in the file counts for more than the config's word that it is tied, as in transformers.
  if (config.thinker.tie_word_embeddings && !weights.find("thinker.lm_head.weight")) {
    thinker.lm_head_ = reader.linear(thinker.embed_tokens_);
  } else {
    thinker.lm_head_ = reader.linear("lm_head", text.vocab_size, text.hidden_size, false);
  }
  TRY_VOID(reader.done());
  if (config.enable_audio_output) thinker.accept_hidden_layer_ = config.talker.accept_hidden_layer;
  return thinker;
}

void Thinker::embed(std::span<const int32_t> ids, Rows out) const {
  CHECK(static_cast<int64_t>(ids.size()) == out.rows && out.cols == config().hidden_size);
  for (int64_t t = 0; t < out.rows; ++t) {
    const int32_t id = ids[static_cast<size_t>(t)];
    CHECK(id >= 0 && id < config().vocab_size);
    embed_tokens_.row(id).to_f32({out.row(t), static_cast<size_t>(out.cols)});
  }
}

void Thinker::forward(const ThinkerInput& input, DecoderState& state, const ThinkerOutput& output) const {
  DecoderScratch scratch;
  const SequenceRows sequence{&state, input.embeds.rows};
  forward(input, {&sequence, 1}, scratch, output);
}

void Thinker::forward(const ThinkerInput& input, std::span<const SequenceRows> sequences, DecoderScratch& scratch,
                      const ThinkerOutput& output) const {
  const int64_t layers = config().num_hidden_layers;
  const auto copy = [&](tensor::ConstRows from, Tensor& to) {
    to.resize({from.rows, from.cols});
    for (int64_t t = 0; t < from.rows; ++t) std::copy_n(from.row(t), from.cols, to.rows().row(t));
  };
  const auto keep = [&](int64_t i, tensor::ConstRows x) {
    if (output.hidden_states) copy(x, (*output.hidden_states)[static_cast<size_t>(i)]);
    if (output.accept_hidden && i == accept_hidden_layer_) copy(x, *output.accept_hidden);
  };
  if (output.hidden_states) output.hidden_states->resize(static_cast<size_t>(layers) + 1);
  // What is looked at or changed after the last layer needs all rows there.
  const bool all_rows = output.hidden_states || (output.accept_hidden && accept_hidden_layer_ >= layers) ||
                        static_cast<int64_t>(input.deepstack.size()) >= layers;
  CHECK(!all_rows || std::ranges::all_of(sequences, [](const SequenceRows& s) { return s.outputs < 0 || s.outputs >= s.rows; }));
  decoder_.forward(input.embeds, *input.positions, sequences, scratch, [&](int64_t i, Rows x) {
    // The last of transformers' hidden_states is the normed one.
    if (i < layers) keep(i, x);
    // DeepStack: what the vision encoder saw at a middle layer joins after decoder layer i - 1.
    if (i < 1 || i > static_cast<int64_t>(input.deepstack.size())) return;
    const tensor::ConstRows features = input.deepstack[static_cast<size_t>(i - 1)];
    for (size_t v = 0; v < input.visual_rows.size(); ++v) {
      float* row = x.row(input.visual_rows[v]);
      const float* feature = features.row(static_cast<int64_t>(v));
      for (int64_t c = 0; c < x.cols; ++c) row[c] += feature[c];
    }
  });
  keep(layers, input.embeds);
}

void Thinker::logits(tensor::ConstRows hidden, Rows out) const { kernels::linear(hidden, lm_head_, out); }

}  // namespace calliope::model
