#include "model/decoder.h"

#include "kernels/rope.h"
#include "model/weight_reader.h"

namespace calliope::model {
namespace {

using kernels::GatedMlpWeight;
using tensor::View;

GatedMlpWeight read_mlp(WeightReader& reader, const std::string& name, int64_t hidden, int64_t inner) {
  return {reader.linear(name + "gate_proj", inner, hidden, false), reader.linear(name + "up_proj", inner, hidden, false),
          reader.linear(name + "down_proj", hidden, inner, false)};
}

// One tensor for all experts, as transformers holds them in memory: gate_up_proj [E, 2 F, D], down_proj [E, D, F].
std::vector<GatedMlpWeight> read_fused_experts(WeightReader& reader, const std::string& name, const DecoderConfig& config) {
  const int64_t count = config.num_experts, inner = config.moe_intermediate_size, hidden = config.hidden_size;
  const View gate_up = reader.take(name + "gate_up_proj", {count, 2 * inner, hidden});
  const View down = reader.take(name + "down_proj", {count, hidden, inner});
  std::vector<GatedMlpWeight> experts;
  for (int64_t e = 0; !reader.error() && e < count; ++e) {
    const View both = gate_up.row(e).reshaped({2, inner, hidden});
    experts.push_back({reader.linear(both.row(0)), reader.linear(both.row(1)), reader.linear(down.row(e))});
  }
  return experts;
}

std::vector<GatedMlpWeight> read_experts(WeightReader& reader, const Weights& weights, const std::string& prefix,
                                         const std::string& name, const DecoderConfig& config) {
  if (weights.find(prefix + name + "gate_up_proj")) return read_fused_experts(reader, name, config);
  std::vector<GatedMlpWeight> experts;
  for (int64_t e = 0; !reader.error() && e < config.num_experts; ++e) {
    experts.push_back(read_mlp(reader, name + std::to_string(e) + ".", config.hidden_size, config.moe_intermediate_size));
  }
  return experts;
}

}  // namespace

Result<Decoder> Decoder::load(const Weights& weights, const std::string& prefix, const DecoderConfig& config) {
  WeightReader reader(weights, prefix);
  Decoder decoder;
  decoder.config_ = config;
  const int64_t hidden = config.hidden_size, dim = config.head_dim;
  const int64_t q = config.num_attention_heads * dim, kv = config.num_key_value_heads * dim;
  for (int64_t i = 0; !reader.error() && i < config.num_hidden_layers; ++i) {
    const std::string at = "layers." + std::to_string(i) + ".";
    Layer layer;
    layer.input_layernorm = reader.take(at + "input_layernorm.weight", {hidden});
    layer.q_proj = reader.linear(at + "self_attn.q_proj", q, hidden, config.attention_bias);
    layer.k_proj = reader.linear(at + "self_attn.k_proj", kv, hidden, config.attention_bias);
    layer.v_proj = reader.linear(at + "self_attn.v_proj", kv, hidden, config.attention_bias);
    layer.o_proj = reader.linear(at + "self_attn.o_proj", hidden, q, config.attention_bias);
    layer.q_norm = reader.take(at + "self_attn.q_norm.weight", {dim});
    layer.k_norm = reader.take(at + "self_attn.k_norm.weight", {dim});
    layer.post_attention_layernorm = reader.take(at + "post_attention_layernorm.weight", {hidden});
    const bool shared = config.shared_expert_intermediate_size > 0;
    if (config.sparse(i) || shared) {
      layer.gate = reader.linear(at + "mlp.gate", config.num_experts, hidden, false);
      layer.experts = read_experts(reader, weights, prefix, at + "mlp.experts.", config);
      if (shared) {
        layer.mlp = read_mlp(reader, at + "mlp.shared_expert.", hidden, config.shared_expert_intermediate_size);
        layer.shared_expert_gate = reader.linear(at + "mlp.shared_expert_gate", 1, hidden, false);
      }
    } else {
      layer.mlp = read_mlp(reader, at + "mlp.", hidden, config.intermediate_size);
    }
    decoder.layers_.push_back(std::move(layer));
  }
  reader.refuse("layers." + std::to_string(config.num_hidden_layers) + ".input_layernorm.weight", "num_hidden_layers");
  decoder.norm_ = reader.take("norm.weight", {hidden});
  TRY_VOID(reader.done());
  decoder.frequencies_.resize(static_cast<size_t>(dim / 2));
  kernels::rope_frequencies(config.rope_theta, dim, decoder.frequencies_);
  return decoder;
}

}  // namespace calliope::model
