#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/attention.h"
#include "kernels/experts.h"
#include "model/config.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// Positions of T tokens on three axes: time, height, width. For text all three are equal.
struct Positions {
  std::vector<int64_t> axis[3];
  int64_t size() const { return static_cast<int64_t>(axis[0].size()); }
  /// Appends one token at the same position on every axis.
  void push(int64_t position) {
    for (auto& values : axis) values.push_back(position);
  }
  void clear() {
    for (auto& values : axis) values.clear();
  }
};

/// One session's memory of a decoder: keys and values of every layer, and the buffers of a step. A step within the
/// reserved length allocates nothing.
class DecoderState {
 public:
  /// Tokens held.
  int64_t length() const { return length_; }
  /// Room for `tokens` in all; keeps what is held.
  void reserve(const DecoderConfig& config, int64_t tokens);
  /// Forgets all but the first `tokens`.
  void truncate(int64_t tokens);
  void reset() { truncate(0); }

 private:
  friend class Decoder;
  struct Layer {
    tensor::Tensor keys, values;  // [capacity, kv_heads * head_dim]
  };
  std::vector<Layer> layers_;
  int64_t capacity_ = 0;
  int64_t length_ = 0;
  tensor::Tensor cosine_, sine_, h_, q_, a_, m_;
  kernels::MlpScratch mlp_;
  std::vector<kernels::KeyRange> ranges_;
};

/// The stack of decoder layers that thinker, talker and code predictor share: pre-norm attention with per-head RMS norm
/// of q and k, (multi-axis) RoPE, grouped-query attention, then a gated MLP, experts, or experts and a shared expert.
/// Source: Qwen3OmniMoeThinkerTextDecoderLayer, Qwen3OmniMoeTalkerDecoderLayer.
class Decoder {
 public:
  /// Takes the weights <prefix>layers.N.* and <prefix>norm.weight.
  static Result<Decoder> load(const Weights& weights, const std::string& prefix, const DecoderConfig& config);

  /// Called with i and the hidden states [T, D] after layer i - 1; i = 0 is the input. May change them.
  using Observer = std::function<void(int64_t, tensor::Rows)>;

  /// Runs T more tokens. x [T, D] holds their embeddings and becomes the normed output. `positions` has T entries.
  void forward(tensor::Rows x, const Positions& positions, DecoderState& state, const Observer& observer = {}) const;

  const DecoderConfig& config() const { return config_; }
  /// Bytes of keys and values one token takes.
  static int64_t cache_bytes_per_token(const DecoderConfig& config);

 private:
  struct Layer {
    tensor::View input_layernorm, post_attention_layernorm, q_norm, k_norm;
    kernels::LinearWeight q_proj, k_proj, v_proj, o_proj;
    kernels::GatedMlpWeight mlp;                  // dense, or the shared expert
    kernels::LinearWeight gate, shared_expert_gate;
    std::vector<kernels::GatedMlpWeight> experts;
  };
  void attend(const Layer& w, tensor::Rows x, DecoderState& state, size_t layer) const;
  void mlp(const Layer& w, tensor::ConstRows h, DecoderState& state) const;
  void rope_rows(const Positions& positions, DecoderState& state) const;

  DecoderConfig config_;
  std::vector<Layer> layers_;
  tensor::View norm_;
  std::vector<float> frequencies_;
};

}  // namespace calliope::model
