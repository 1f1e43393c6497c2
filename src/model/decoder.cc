#include "model/decoder.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/norm.h"
#include "kernels/paged_scores.h"
#include "kernels/rope.h"

namespace calliope::model {

using kernels::linear;
using kernels::rms_norm;
using tensor::Rows;
using tensor::Tensor;

namespace {

// The heads of every row as rows of their own: [T * heads, head_dim]. Rows must lie close together.
Rows heads_of(Rows x, int64_t head_dim) {
  CHECK(x.stride == x.cols);
  return {x.data, x.rows * (x.cols / head_dim), head_dim, head_dim};
}

kernels::AttentionShape attention_shape(const DecoderConfig& config) {
  return {.heads = config.num_attention_heads, .kv_heads = config.num_key_value_heads, .head_dim = config.head_dim,
          .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim))};
}

}  // namespace

// Frequency j takes its angle from height if j mod 3 = 1 and j < 3 section[1], from width if j mod 3 = 2 and
// j < 3 section[2], else from time (Qwen3OmniMoeThinkerTextRotaryEmbedding.recomposition_frequencies).
void Decoder::rope_rows(const Positions& positions, DecoderScratch& s) const {
  const int64_t half = config_.head_dim / 2;
  s.cosine.resize({positions.size(), half});
  s.sine.resize({positions.size(), half});
  for (int64_t t = 0; t < positions.size(); ++t) {
    for (int64_t j = 0; j < half; ++j) {
      const int64_t axis = j % 3 != 0 && j < 3 * config_.mrope_section[static_cast<size_t>(j % 3)] ? j % 3 : 0;
      const float angle = static_cast<float>(positions.axis[axis][static_cast<size_t>(t)]) * frequencies_[static_cast<size_t>(j)];
      s.cosine.rows().row(t)[j] = std::cos(angle);
      s.sine.rows().row(t)[j] = std::sin(angle);
    }
  }
}

// Keys and values of all rows, attention of those of `out`: out.x += attention(out.h).
void Decoder::attend(const Layer& w, const DecoderScratch::Batch& out, DecoderScratch& s, const kernels::PageLayout& layout,
                     size_t layer) const {
  const int64_t tokens = s.all.x.rows, dim = config_.head_dim, at = static_cast<int64_t>(layer);
  s.q.resize({out.x.rows, config_.num_attention_heads * dim});
  s.k.resize({tokens, config_.num_key_value_heads * dim});
  s.v.resize({tokens, config_.num_key_value_heads * dim});
  s.a.resize({out.x.rows, config_.num_attention_heads * dim});
  const Rows q = s.q.rows(), k = s.k.rows(), v = s.v.rows(), a = s.a.rows();

  // q [T, heads * dim]; k, v [T, kv_heads * dim]
  const kernels::LinearTask projections[] = {{out.h, &w.q_proj, q}, {s.all.h, &w.k_proj, k}, {s.all.h, &w.v_proj, v}};
  linear(projections);
  rms_norm(heads_of(q, dim), w.q_norm, config_.rms_norm_eps, heads_of(q, dim));
  rms_norm(heads_of(k, dim), w.k_norm, config_.rms_norm_eps, heads_of(k, dim));
  kernels::rope(q, dim, out.cosine, out.sine);
  kernels::rope(k, dim, s.all.cosine, s.all.sine);
  kernels::store_pages(k, v, s.all.sequences, layout, at);
  kernels::paged_attention(q, out.sequences, attention_shape(config_), layout, at, a);  // [T, heads * dim]
  linear(a, w.o_proj, out.h);                                                  // [T, D]
  kernels::add(out.h, out.x);                                                  // x += h
}

// Of each sequence that is looked at, the last row, whose queries are in s.q.
void Decoder::look(std::span<const SequenceRows> sequences, const DecoderScratch::Batch& out, const DecoderScratch& s,
                   const kernels::PageLayout& layout, size_t layer) const {
  int64_t row = -1;
  for (size_t i = 0; i < sequences.size(); ++i) {
    row += out.sequences[i].rows;
    Gaze* gaze = sequences[i].gaze;
    if (!gaze || gaze->begin >= gaze->end || out.sequences[i].rows == 0) continue;
    const auto tokens = static_cast<size_t>(gaze->end - gaze->begin);
    if (layer == 0) gaze->weights.assign(tokens, 0.0f);
    gaze->one.resize(tokens);
    for (const AttentionHead& head : gaze->heads) {
      if (head.layer != static_cast<int64_t>(layer)) continue;
      const std::span<const float> q(s.q.span().subspan(static_cast<size_t>(row * s.q.shape()[1]), static_cast<size_t>(s.q.shape()[1])));
      kernels::paged_scores(q, out.sequences[i], attention_shape(config_), layout, head.layer, head.head, gaze->begin, gaze->one);
      for (size_t t = 0; t < tokens; ++t) gaze->weights[t] += gaze->one[t] / static_cast<float>(gaze->heads.size());
    }
  }
}

void Decoder::mlp(const Layer& w, tensor::ConstRows h, DecoderScratch& s, Rows m) const {
  if (w.experts.empty()) return kernels::gated_mlp(h, w.mlp, s.mlp, m);
  kernels::experts(h, w.gate, w.experts, {config_.num_experts_per_tok, config_.norm_topk_prob}, s.mlp, m);
  if (!w.shared_expert_gate.weight) return;
  // m += sigmoid(gate h) * shared_expert(h)
  s.a.resize({h.rows, config_.hidden_size});
  s.q.resize({h.rows, 1});
  kernels::gated_mlp(h, w.mlp, s.mlp, s.a.rows());
  linear(h, w.shared_expert_gate, s.q.rows());
  for (int64_t t = 0; t < h.rows; ++t) {
    const float open = kernels::sigmoid(s.q.data()[t]);
    for (int64_t i = 0; i < m.cols; ++i) m.row(t)[i] += open * s.a.rows().row(t)[i];
  }
}

// The rows whose output is wanted, apart. False when that is all of them.
bool Decoder::take_last(std::span<const SequenceRows> sequences, DecoderScratch& s) const {
  s.last_rows.clear();
  s.last.sequences.clear();
  int64_t end = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const kernels::PagedRows& all = s.all.sequences[i];
    const int64_t count = sequences[i].outputs < 0 ? all.rows : std::min(sequences[i].outputs, all.rows);
    end += all.rows;
    for (int64_t row = end - count; row < end; ++row) s.last_rows.push_back(row);
    s.last.sequences.push_back({.rows = count, .held = all.held + all.rows - count, .pages = all.pages});
  }
  if (static_cast<int64_t>(s.last_rows.size()) == end) return false;
  const auto gather = [&](tensor::ConstRows from, Tensor& to) {
    to.resize({static_cast<int64_t>(s.last_rows.size()), from.cols});
    for (size_t i = 0; i < s.last_rows.size(); ++i) std::copy_n(from.row(s.last_rows[i]), from.cols, to.rows().row(static_cast<int64_t>(i)));
    return to.rows();
  };
  s.last.x = gather(s.all.x, s.last_x);
  s.last.h = gather(s.all.h, s.last_h);
  s.last.cosine = gather(s.all.cosine, s.last_cosine);
  s.last.sine = gather(s.all.sine, s.last_sine);
  return true;
}

void Decoder::forward(Rows x, const Positions& positions, std::span<const SequenceRows> sequences, DecoderScratch& s,
                      const Observer& observer) const {
  CHECK(x.cols == config_.hidden_size && positions.size() == x.rows);
  if (x.rows == 0) return;
  int64_t rows = 0;
  s.all.sequences.clear();
  for (const SequenceRows& sequence : sequences) {
    sequence.state->reserve(config_, sequence.state->length() + sequence.rows);
    s.all.sequences.push_back(sequence.state->next_rows(sequence.rows));
    rows += sequence.rows;
  }
  CHECK(rows == x.rows);
  const kernels::PageLayout& layout = sequences.front().state->layout();
  s.h.resize({x.rows, config_.hidden_size});
  s.m.resize({x.rows, config_.hidden_size});
  rope_rows(positions, s);
  s.all.x = x;
  s.all.h = s.h.rows();
  s.all.cosine = s.cosine.rows();
  s.all.sine = s.sine.rows();

  if (observer) observer(0, x);
  bool apart = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& w = layers_[i];
    rms_norm(x, w.input_layernorm, config_.rms_norm_eps, s.all.h);             // [T, D]
    apart = i + 1 == layers_.size() && take_last(sequences, s);
    const DecoderScratch::Batch& out = apart ? s.last : s.all;
    const Rows m = s.m.rows().slice(0, out.x.rows);
    attend(w, out, s, layout, i);                                              // x += attention(h)
    look(sequences, out, s, layout, i);
    rms_norm(out.x, w.post_attention_layernorm, config_.rms_norm_eps, out.h);
    mlp(w, out.h, s, m);                                                       // [T, D]
    kernels::add(m, out.x);                                                    // x += m
    if (observer) observer(static_cast<int64_t>(i) + 1, out.x);
  }
  for (const SequenceRows& sequence : sequences) sequence.state->advance(sequence.rows);
  const Rows out = apart ? s.last.x : x;
  rms_norm(out, norm_, config_.rms_norm_eps, out);
  for (size_t i = 0; apart && i < s.last_rows.size(); ++i) std::copy_n(out.row(static_cast<int64_t>(i)), x.cols, x.row(s.last_rows[i]));
}

void Decoder::forward(Rows x, const Positions& positions, DecoderState& state, const Observer& observer) const {
  DecoderScratch scratch;
  const SequenceRows sequence{&state, x.rows};
  forward(x, positions, {&sequence, 1}, scratch, observer);
}

}  // namespace calliope::model
