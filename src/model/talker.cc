#include "model/talker.h"

#include <algorithm>
#include <cctype>

#include "kernels/elementwise.h"
#include "model/positions.h"
#include "model/weight_reader.h"

namespace calliope::model {

using tensor::ConstRows;
using tensor::Rows;
using tensor::Tensor;

Result<Talker> Talker::load(const Weights& weights, const Config& config) {
  const DecoderConfig& text = config.talker.text;
  Talker talker;
  talker.config_ = config.talker;
  TRY(talker.decoder_, Decoder::load(weights, "talker.model.", text));
  TRY(talker.code_predictor_, CodePredictor::load(weights, config.talker.code_predictor));
  WeightReader reader(weights, "talker.");
  talker.codec_embedding_ = reader.take("model.codec_embedding.weight", {text.vocab_size, text.hidden_size});
  talker.codec_head_ = reader.linear("codec_head", text.vocab_size, text.hidden_size, false);
  for (auto& [name, mlp] : {std::pair<std::string, ResizeMlp*>{"text_projection", &talker.text_projection_},
                            {"hidden_projection", &talker.hidden_projection_}}) {
    mlp->linear_fc1 = reader.linear(name + ".linear_fc1", text.intermediate_size, config.talker.thinker_hidden_size);
    mlp->linear_fc2 = reader.linear(name + ".linear_fc2", text.hidden_size, text.intermediate_size);
  }
  TRY_VOID(reader.done());

  const int64_t thinker_size = config.talker.thinker_hidden_size;
  TRY(const tensor::View embeddings,
      weights.take("thinker.model.embed_tokens.weight", {config.thinker.text.vocab_size, thinker_size}));
  Tensor embeds({3, thinker_size});
  const int32_t ids[] = {config.tts_pad_token_id, config.tts_bos_token_id, config.tts_eos_token_id};
  for (int64_t i = 0; i < 3; ++i) {
    embeddings.row(ids[i]).to_f32({embeds.rows().row(i), static_cast<size_t>(thinker_size)});
  }
  talker.specials_.resize({3, text.hidden_size});
  talker.project_text(embeds.rows(), talker.specials_.rows());
  return talker;
}

void Talker::project(const ResizeMlp& w, ConstRows x, Rows out) const {
  Tensor inner({x.rows, w.linear_fc1.out()});
  kernels::linear(x, w.linear_fc1, inner.rows());
  kernels::silu(inner.rows());
  kernels::linear(inner.rows(), w.linear_fc2, out);
}

void Talker::project_text(ConstRows embeds, Rows out) const { project(text_projection_, embeds, out); }

void Talker::project_hidden(ConstRows hidden, Rows out) const { project(hidden_projection_, hidden, out); }

void Talker::assistant_rows(ConstRows start, ConstRows first_text, int32_t speaker, Rows out) const {
  CHECK(start.rows == 3 && first_text.rows == 1 && out.rows == kAssistantRows);
  const int32_t control[] = {config_.codec_nothink_id, config_.codec_think_bos_id, config_.codec_think_eos_id,
                             speaker, config_.codec_pad_id, config_.codec_bos_id};
  for (int64_t i = 0; i < kAssistantRows; ++i) {
    const float* text = i < 3 ? start.row(i) : i < 7 ? tts_pad().data() : i < 8 ? tts_bos().data() : first_text.row(0);
    std::copy_n(text, out.cols, out.row(i));
    if (i < 3) continue;
    const tensor::View code = codec_embedding_.row(control[i - 3]);
    for (int64_t c = 0; c < out.cols; ++c) out.row(i)[c] += code.at(c);
  }
}

void Talker::prefill(Rows x, const Positions& positions, TalkerState& state) const {
  decoder_.forward(x, positions, state.decoder);
  state.hidden.resize({1, x.cols});
  std::copy_n(x.row(x.rows - 1), x.cols, state.hidden.data());
  state.next_position = std::max(state.next_position, next_position(positions));
}

bool Talker::step(std::span<const float> next_text, const Picker& pick_code, const Picker& pick_residual, TalkerState& state,
                  std::span<int32_t> codes) const {
  CHECK(static_cast<int64_t>(codes.size()) == config_.num_code_groups && next_text.size() == size());
  state.logits.resize({1, config_.text.vocab_size});
  kernels::linear(state.hidden.rows(), codec_head_, state.logits.rows());
  state.code = pick_code(state.logits.span());
  if (state.code == config_.codec_eos_token_id) return false;
  codes[0] = state.code;

  // The next input: the sum of all code embeddings and the text row.
  state.code0.resize({1, config_.text.hidden_size});
  codec_embedding_.row(state.code).to_f32(state.code0.span());
  state.x = state.code0;
  code_predictor_.predict(state.hidden.span(), state.code0.span(), pick_residual, state.predictor, codes.subspan(1), state.x.span());
  for (size_t i = 0; i < size(); ++i) state.x.data()[i] += next_text[i];
  state.positions.clear();
  state.positions.push(state.next_position++);
  decoder_.forward(state.x.rows(), state.positions, state.decoder);
  state.hidden = state.x;
  return true;
}

int32_t Talker::speaker(std::string_view name) const {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string& wanted : {lower, std::string("default"), std::string("ethan")}) {
    if (const auto found = config_.speaker_id.find(wanted); found != config_.speaker_id.end()) return found->second;
  }
  return config_.speaker_id.empty() ? config_.codec_pad_id : config_.speaker_id.begin()->second;
}

int32_t Talker::suppress_begin() const { return static_cast<int32_t>(std::max<int64_t>(0, config_.text.vocab_size - 1024)); }

}  // namespace calliope::model
