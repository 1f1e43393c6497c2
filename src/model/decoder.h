#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/experts.h"
#include "model/attention_head.h"
#include "model/config.h"
#include "model/kv_pages.h"
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

/// Where the last row of a pass looks among the tokens [begin, end) of its sequence: the mean of what each of `heads` gives
/// them, so `weights` sum to 1. Only read, so it changes no other number. Nothing is looked at while begin == end.
struct Gaze {
  std::vector<AttentionHead> heads;
  int64_t begin = 0, end = 0;
  std::vector<float> weights;  ///< [end - begin], after the pass
  std::vector<float> one;      ///< scratch
};

/// The next `rows` rows of a batch, which belong to one sequence.
struct SequenceRows {
  static constexpr int64_t kAll = -1;
  DecoderState* state = nullptr;
  int64_t rows = 0;
  /// Rows at the end whose output is wanted: the others are done when their keys and values are, and what is left in
  /// them means nothing.
  int64_t outputs = kAll;
  Gaze* gaze = nullptr;  ///< filled by the pass, if there is one
};

/// Buffers of a forward pass, kept by the caller so that a pass no larger than the largest before allocates nothing.
struct DecoderScratch {
  /// Rows that are run together: hidden states, their normed form, RoPE.
  struct Batch {
    tensor::Rows x, h;
    tensor::ConstRows cosine, sine;
    std::vector<kernels::PagedRows> sequences;
  };
  tensor::Tensor cosine, sine, h, q, k, v, a, m;
  tensor::Tensor last_x, last_h, last_cosine, last_sine;
  kernels::MlpScratch mlp;
  Batch all, last;
  std::vector<int64_t> last_rows;
};

/// The stack of decoder layers that thinker, talker and code predictor share: pre-norm attention with per-head RMS norm
/// of q and k, (multi-axis) RoPE, grouped-query attention, then a gated MLP, experts, or experts and a shared expert.
/// Source: Qwen3OmniMoeThinkerTextDecoderLayer, Qwen3OmniMoeTalkerDecoderLayer.
class Decoder {
 public:
  /// Takes the weights <prefix>layers.N.* and <prefix>norm.weight.
  static Result<Decoder> load(const Weights& weights, const std::string& prefix, const DecoderConfig& config);

  /// Called with i and the hidden states [T, D] after layer i - 1; i = 0 is the input. May change them. After the last
  /// layer it gets the rows whose output is wanted.
  using Observer = std::function<void(int64_t, tensor::Rows)>;

  /// Runs T more tokens, some of each of several sequences, whose rows follow one another. x [T, D] holds their
  /// embeddings and becomes the normed output. `positions` has T entries. A row's result depends on its own sequence
  /// alone, bit for bit: a batch equals its sequences one by one. The sequences' states take pages of one memory layout.
  void forward(tensor::Rows x, const Positions& positions, std::span<const SequenceRows> sequences,
               DecoderScratch& scratch, const Observer& observer = {}) const;
  /// The same for one sequence alone, with buffers of its own.
  void forward(tensor::Rows x, const Positions& positions, DecoderState& state, const Observer& observer = {}) const;

  const DecoderConfig& config() const { return config_; }

 private:
  struct Layer {
    tensor::View input_layernorm, post_attention_layernorm, q_norm, k_norm;
    kernels::LinearWeight q_proj, k_proj, v_proj, o_proj;
    kernels::GatedMlpWeight mlp;                  // dense, or the shared expert
    kernels::LinearWeight gate, shared_expert_gate;
    std::vector<kernels::GatedMlpWeight> experts;
  };
  void attend(const Layer& w, const DecoderScratch::Batch& out, DecoderScratch& s, const kernels::PageLayout& layout, size_t layer) const;
  void look(std::span<const SequenceRows> sequences, const DecoderScratch::Batch& out, const DecoderScratch& s,
            const kernels::PageLayout& layout, size_t layer) const;
  bool take_last(std::span<const SequenceRows> sequences, DecoderScratch& s) const;
  void mlp(const Layer& w, tensor::ConstRows h, DecoderScratch& s, tensor::Rows m) const;
  void rope_rows(const Positions& positions, DecoderScratch& s) const;

  DecoderConfig config_;
  std::vector<Layer> layers_;
  tensor::View norm_;
  std::vector<float> frequencies_;
};

}  // namespace calliope::model
