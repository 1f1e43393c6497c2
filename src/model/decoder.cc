#include "model/decoder.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/norm.h"
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

}  // namespace

int64_t Decoder::cache_bytes_per_token(const DecoderConfig& config) {
  return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * static_cast<int64_t>(sizeof(float));
}

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

void Decoder::attend(const Layer& w, Rows x, DecoderScratch& s, const kernels::PageLayout& layout, size_t layer) const {
  const int64_t tokens = x.rows, dim = config_.head_dim, at = static_cast<int64_t>(layer);
  s.q.resize({tokens, config_.num_attention_heads * dim});
  s.k.resize({tokens, config_.num_key_value_heads * dim});
  s.v.resize({tokens, config_.num_key_value_heads * dim});
  s.a.resize({tokens, config_.num_attention_heads * dim});
  const Rows h = s.h.rows(), q = s.q.rows(), k = s.k.rows(), v = s.v.rows(), a = s.a.rows();

  // q [T, heads * dim]; k, v [T, kv_heads * dim]
  const kernels::LinearTask projections[] = {{h, &w.q_proj, q}, {h, &w.k_proj, k}, {h, &w.v_proj, v}};
  linear(projections);
  rms_norm(heads_of(q, dim), w.q_norm, config_.rms_norm_eps, heads_of(q, dim));
  rms_norm(heads_of(k, dim), w.k_norm, config_.rms_norm_eps, heads_of(k, dim));
  kernels::rope(q, dim, s.cosine.rows(), s.sine.rows());
  kernels::rope(k, dim, s.cosine.rows(), s.sine.rows());
  kernels::store_pages(k, v, s.sequences, layout, at);
  kernels::paged_attention(q, s.sequences,
                           {.heads = config_.num_attention_heads, .kv_heads = config_.num_key_value_heads, .head_dim = dim,
                            .scale = 1.0f / std::sqrt(static_cast<float>(dim))},
                           layout, at, a);                                     // [T, heads * dim]
  linear(a, w.o_proj, h);                                                      // [T, D]
  kernels::add(h, x);                                                          // x += h
}

void Decoder::mlp(const Layer& w, tensor::ConstRows h, DecoderScratch& s) const {
  const Rows m = s.m.rows();
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

void Decoder::forward(Rows x, const Positions& positions, std::span<const SequenceRows> sequences, DecoderScratch& s,
                      const Observer& observer) const {
  CHECK(x.cols == config_.hidden_size && positions.size() == x.rows);
  if (x.rows == 0) return;
  int64_t rows = 0;
  s.sequences.clear();
  for (const SequenceRows& sequence : sequences) {
    sequence.state->reserve(config_, sequence.state->length() + sequence.rows);
    s.sequences.push_back(sequence.state->next_rows(sequence.rows));
    rows += sequence.rows;
  }
  CHECK(rows == x.rows);
  const kernels::PageLayout& layout = sequences.front().state->layout();
  s.h.resize({x.rows, config_.hidden_size});
  s.m.resize({x.rows, config_.hidden_size});
  rope_rows(positions, s);

  if (observer) observer(0, x);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& w = layers_[i];
    rms_norm(x, w.input_layernorm, config_.rms_norm_eps, s.h.rows());          // [T, D]
    attend(w, x, s, layout, i);                                                // x += attention(h)
    rms_norm(x, w.post_attention_layernorm, config_.rms_norm_eps, s.h.rows());
    mlp(w, s.h.rows(), s);                                                     // [T, D]
    kernels::add(s.m.rows(), x);                                               // x += m
    if (observer) observer(static_cast<int64_t>(i) + 1, x);
  }
  for (const SequenceRows& sequence : sequences) sequence.state->advance(sequence.rows);
  rms_norm(x, norm_, config_.rms_norm_eps, x);
}

void Decoder::forward(Rows x, const Positions& positions, DecoderState& state, const Observer& observer) const {
  DecoderScratch scratch;
  const SequenceRows sequence{&state, x.rows};
  forward(x, positions, {&sequence, 1}, scratch, observer);
}

}  // namespace calliope::model
