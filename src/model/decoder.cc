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

void DecoderState::reserve(const DecoderConfig& config, int64_t tokens) {
  if (tokens <= capacity_ && !layers_.empty()) return;
  capacity_ = std::max(tokens, capacity_);
  const int64_t width = config.num_key_value_heads * config.head_dim;
  layers_.resize(static_cast<size_t>(config.num_hidden_layers));
  for (Layer& layer : layers_) {
    for (Tensor* held : {&layer.keys, &layer.values}) {
      Tensor larger({capacity_, width});
      if (length_ > 0) std::copy_n(held->data(), length_ * width, larger.data());
      *held = std::move(larger);
    }
  }
}

void DecoderState::truncate(int64_t tokens) { length_ = std::clamp<int64_t>(tokens, 0, length_); }

int64_t Decoder::cache_bytes_per_token(const DecoderConfig& config) {
  return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * static_cast<int64_t>(sizeof(float));
}

// Frequency j takes its angle from height if j mod 3 = 1 and j < 3 section[1], from width if j mod 3 = 2 and
// j < 3 section[2], else from time (Qwen3OmniMoeThinkerTextRotaryEmbedding.recomposition_frequencies).
void Decoder::rope_rows(const Positions& positions, DecoderState& state) const {
  const int64_t half = config_.head_dim / 2;
  state.cosine_.resize({positions.size(), half});
  state.sine_.resize({positions.size(), half});
  for (int64_t t = 0; t < positions.size(); ++t) {
    for (int64_t j = 0; j < half; ++j) {
      const int64_t axis = j % 3 != 0 && j < 3 * config_.mrope_section[static_cast<size_t>(j % 3)] ? j % 3 : 0;
      const float angle = static_cast<float>(positions.axis[axis][static_cast<size_t>(t)]) * frequencies_[static_cast<size_t>(j)];
      state.cosine_.rows().row(t)[j] = std::cos(angle);
      state.sine_.rows().row(t)[j] = std::sin(angle);
    }
  }
}

void Decoder::attend(const Layer& w, Rows x, DecoderState& state, size_t layer) const {
  const int64_t tokens = x.rows, dim = config_.head_dim;
  auto& cache = state.layers_[layer];
  state.q_.resize({tokens, config_.num_attention_heads * dim});
  state.a_.resize({tokens, config_.num_attention_heads * dim});
  const Rows h = state.h_.rows(), q = state.q_.rows(), a = state.a_.rows();
  const Rows k = cache.keys.rows().slice(state.length_, tokens), v = cache.values.rows().slice(state.length_, tokens);
  const int64_t held = state.length_ + tokens;

  linear(h, w.q_proj, q);                                                      // [T, heads * dim]
  linear(h, w.k_proj, k);                                                      // [T, kv_heads * dim]
  linear(h, w.v_proj, v);                                                      // [T, kv_heads * dim]
  rms_norm(heads_of(q, dim), w.q_norm, config_.rms_norm_eps, heads_of(q, dim));
  rms_norm(heads_of(k, dim), w.k_norm, config_.rms_norm_eps, heads_of(k, dim));
  kernels::rope(q, dim, state.cosine_.rows(), state.sine_.rows());
  kernels::rope(k, dim, state.cosine_.rows(), state.sine_.rows());
  kernels::attention(q, cache.keys.rows().slice(0, held), cache.values.rows().slice(0, held),
                     {.heads = config_.num_attention_heads, .kv_heads = config_.num_key_value_heads, .head_dim = dim,
                      .scale = 1.0f / std::sqrt(static_cast<float>(dim))},
                     state.ranges_, a);                                        // [T, heads * dim]
  linear(a, w.o_proj, h);                                                      // [T, D]
  kernels::add(h, x);                                                          // x += h
}

void Decoder::mlp(const Layer& w, tensor::ConstRows h, DecoderState& state) const {
  const Rows m = state.m_.rows();
  if (w.experts.empty()) return kernels::gated_mlp(h, w.mlp, state.mlp_, m);
  kernels::experts(h, w.gate, w.experts, {config_.num_experts_per_tok, config_.norm_topk_prob}, state.mlp_, m);
  if (!w.shared_expert_gate.weight) return;
  // m += sigmoid(gate h) * shared_expert(h)
  state.a_.resize({h.rows, config_.hidden_size});
  state.q_.resize({h.rows, 1});
  kernels::gated_mlp(h, w.mlp, state.mlp_, state.a_.rows());
  linear(h, w.shared_expert_gate, state.q_.rows());
  for (int64_t t = 0; t < h.rows; ++t) {
    const float open = kernels::sigmoid(state.q_.data()[t]);
    for (int64_t i = 0; i < m.cols; ++i) m.row(t)[i] += open * state.a_.rows().row(t)[i];
  }
}

void Decoder::forward(Rows x, const Positions& positions, DecoderState& state, const Observer& observer) const {
  CHECK(x.cols == config_.hidden_size && positions.size() == x.rows);
  if (x.rows == 0) return;
  state.reserve(config_, state.length_ + x.rows);
  state.h_.resize({x.rows, config_.hidden_size});
  state.m_.resize({x.rows, config_.hidden_size});
  state.ranges_.resize(static_cast<size_t>(x.rows));
  for (int64_t t = 0; t < x.rows; ++t) state.ranges_[static_cast<size_t>(t)] = {0, state.length_ + t + 1};
  rope_rows(positions, state);

  if (observer) observer(0, x);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& w = layers_[i];
    rms_norm(x, w.input_layernorm, config_.rms_norm_eps, state.h_.rows());          // [T, D]
    attend(w, x, state, i);                                                         // x += attention(h)
    rms_norm(x, w.post_attention_layernorm, config_.rms_norm_eps, state.h_.rows());
    mlp(w, state.h_.rows(), state);                                                 // [T, D]
    kernels::add(state.m_.rows(), x);                                               // x += m
    if (observer) observer(static_cast<int64_t>(i) + 1, x);
  }
  state.length_ += x.rows;
  rms_norm(x, norm_, config_.rms_norm_eps, x);
}

}  // namespace calliope::model
