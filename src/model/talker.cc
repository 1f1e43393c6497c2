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
  thread_local Tensor inner;
  inner.resize({x.rows, w.linear_fc1.out()});
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

void Talker::prefill(Rows x, const Positions& positions, TalkerState& state, DecoderScratch& scratch) const {
  const SequenceRows sequence{&state.decoder, x.rows, 1, state.gaze.heads.empty() ? nullptr : &state.gaze};
  decoder_.forward(x, positions, {&sequence, 1}, scratch);
  state.hidden.resize({1, x.cols});
  std::copy_n(x.row(x.rows - 1), x.cols, state.hidden.data());
  state.next_position = std::max(state.next_position, next_position(positions));
}

void Talker::prefill(Rows x, const Positions& positions, TalkerState& state) const {
  DecoderScratch scratch;
  prefill(x, positions, state, scratch);
}

void Talker::step(std::span<TalkerStep> steps, TalkerScratch& s) const {
  const int64_t count = static_cast<int64_t>(steps.size()), width = config_.text.hidden_size;
  if (count == 0) return;
  s.hidden.resize({count, width});
  s.logits.resize({count, config_.text.vocab_size});
  for (int64_t b = 0; b < count; ++b) std::copy_n(steps[static_cast<size_t>(b)].state->hidden.data(), width, s.hidden.rows().row(b));
  kernels::linear(s.hidden.rows(), codec_head_, s.logits.rows());  // [B, vocabulary]

  s.going.clear();
  for (int64_t b = 0; b < count; ++b) {
    TalkerStep& step = steps[static_cast<size_t>(b)];
    CHECK(static_cast<int64_t>(step.codes.size()) == config_.num_code_groups && step.next_text.size() == size());
    step.state->code = (*step.pick_code)({s.logits.rows().row(b), static_cast<size_t>(config_.text.vocab_size)});
    step.ended = step.state->code == config_.codec_eos_token_id;
    if (!step.ended) s.going.push_back(&step);
  }
  if (s.going.empty()) return;

  // The next input: the sum of all code embeddings and the text row.
  const auto going = static_cast<int64_t>(s.going.size());
  s.code0.resize({going, width});
  s.x.resize({going, width});
  s.frames.clear();
  s.sequences.clear();
  s.positions.clear();
  for (int64_t b = 0; b < going; ++b) {
    TalkerStep& step = *s.going[static_cast<size_t>(b)];
    const std::span<float> code0(s.code0.rows().row(b), size()), x(s.x.rows().row(b), size());
    step.codes[0] = step.state->code;
    codec_embedding_.row(step.state->code).to_f32(code0);
    std::copy(code0.begin(), code0.end(), x.begin());
    s.frames.push_back({step.state->hidden.span(), code0, step.pick_residual, step.codes.subspan(1), x});
    s.sequences.push_back({&step.state->decoder, 1, SequenceRows::kAll, step.state->gaze.heads.empty() ? nullptr : &step.state->gaze});
    s.positions.push(step.state->next_position++);
  }
  code_predictor_.predict(s.frames, s.predictor);
  for (int64_t b = 0; b < going; ++b) {
    for (size_t i = 0; i < size(); ++i) s.x.rows().row(b)[i] += s.going[static_cast<size_t>(b)]->next_text[i];
  }
  decoder_.forward(s.x.rows(), s.positions, s.sequences, s.decoder);
  for (int64_t b = 0; b < going; ++b) std::copy_n(s.x.rows().row(b), width, s.going[static_cast<size_t>(b)]->state->hidden.data());
}

bool Talker::step(std::span<const float> next_text, const Picker& pick_code, const Picker& pick_residual, TalkerState& state,
                  std::span<int32_t> codes) const {
  TalkerScratch scratch;
  TalkerStep step{.state = &state, .next_text = next_text, .pick_code = &pick_code, .pick_residual = &pick_residual, .codes = codes};
  this->step({&step, 1}, scratch);
  return !step.ended;
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
