#include "model/code2wav.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/rope.h"
#include "model/code2wav_parts.h"
#include "model/weight_reader.h"

namespace calliope::model {

using namespace code2wav;

namespace {

// SnakeBeta's exponentials, once.
Snake read_snake(WeightReader& reader, const std::string& name, int64_t channels) {
  Snake snake{reader.floats(name + ".alpha", channels), reader.floats(name + ".beta", channels)};
  for (float& rate : snake.rate) rate = std::exp(rate);
  for (float& scale : snake.scale) scale = 1.0f / (std::exp(scale) + 1e-9f);
  return snake;
}

}  // namespace

Result<Code2Wav> Code2Wav::load(const Weights& weights, const Code2WavConfig& c) {
  WeightReader reader(weights, "code2wav.");
  Parts parts;
  parts.config = c;
  const int64_t d = c.hidden_size, heads = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  parts.code_embedding = reader.take("code_embedding.weight", {c.codebook_size * c.num_quantizers, d});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string p = "pre_transformer.layers." + std::to_string(i) + ".";
    TransformerLayer layer;
    layer.input_layernorm = reader.take(p + "input_layernorm.weight", {d});
    layer.q_proj = reader.linear(p + "self_attn.q_proj", heads, d, c.attention_bias);
    layer.k_proj = reader.linear(p + "self_attn.k_proj", kv, d, c.attention_bias);
    layer.v_proj = reader.linear(p + "self_attn.v_proj", kv, d, c.attention_bias);
    layer.o_proj = reader.linear(p + "self_attn.o_proj", d, heads, c.attention_bias);
    layer.self_attn_layer_scale = reader.take(p + "self_attn_layer_scale.scale", {d});
    layer.post_attention_layernorm = reader.take(p + "post_attention_layernorm.weight", {d});
    layer.gate_proj = reader.linear(p + "mlp.gate_proj", c.intermediate_size, d, false);
    layer.up_proj = reader.linear(p + "mlp.up_proj", c.intermediate_size, d, false);
    layer.down_proj = reader.linear(p + "mlp.down_proj", d, c.intermediate_size, false);
    layer.mlp_layer_scale = reader.take(p + "mlp_layer_scale.scale", {d});
    parts.layers.push_back(layer);
  }
  parts.norm = reader.take("pre_transformer.norm.weight", {d});
  parts.frequencies.resize(static_cast<size_t>(c.head_dim / 2));
  kernels::rope_frequencies(c.rope_theta, c.head_dim, parts.frequencies);

  for (size_t i = 0; i < c.upsampling_ratios.size(); ++i) {
    const std::string p = "upsample." + std::to_string(i) + ".";
    Upsample stage;
    stage.factor = c.upsampling_ratios[i];
    stage.transposed = reader.transposed(p + "0.conv", {d, d, stage.factor}, stage.factor);
    const View filters = reader.take(p + "1.dwconv.conv.weight", {d, 1, kKernel}), bias = reader.take(p + "1.dwconv.conv.bias", {d});
    if (filters && bias) stage.convnext.dwconv = {filters, bias};
    stage.convnext.norm_weight = reader.take(p + "1.norm.weight", {d});
    stage.convnext.norm_bias = reader.take(p + "1.norm.bias", {d});
    stage.convnext.pwconv1 = reader.linear(p + "1.pwconv1", 4 * d, d);
    stage.convnext.pwconv2 = reader.linear(p + "1.pwconv2", d, 4 * d);
    stage.convnext.gamma = reader.take(p + "1.gamma", {d});
    parts.upsample.push_back(std::move(stage));
  }

  parts.conv_in = reader.conv1d("decoder.0.conv", c.decoder_dim, d, kKernel);
  int64_t channels = c.decoder_dim;
  for (size_t i = 0; i < c.upsample_rates.size(); ++i) {
    const std::string p = "decoder." + std::to_string(i + 1) + ".block.";
    DecoderBlock block{.rate = c.upsample_rates[i], .out = channels / 2, .act = {}, .transposed = {}, .units = {}};
    block.act = read_snake(reader, p + "0", channels);
    block.transposed = reader.transposed(p + "1.conv", {channels, block.out, 2 * block.rate}, block.rate);
    for (size_t j = 0; j < std::size(kDilations); ++j) {
      const std::string q = p + std::to_string(j + 2) + ".";
      ResidualUnit unit{.dilation = kDilations[j], .act1 = {}, .act2 = {}, .conv1 = {}, .conv2 = {}};
      unit.act1 = read_snake(reader, q + "act1", block.out);
      unit.conv1 = reader.conv1d(q + "conv1.conv", block.out, block.out, kKernel);
      unit.act2 = read_snake(reader, q + "act2", block.out);
      unit.conv2 = reader.conv1d(q + "conv2.conv", block.out, block.out, 1);
      block.units.push_back(std::move(unit));
    }
    channels = block.out;
    parts.blocks.push_back(std::move(block));
  }
  const std::string last = "decoder." + std::to_string(c.upsample_rates.size() + 1);
  parts.act_out = read_snake(reader, last, channels);
  const std::string out = "decoder." + std::to_string(c.upsample_rates.size() + 2) + ".conv";
  parts.conv_out = reader.conv1d(out, 1, channels, kKernel, false);  // cheap, and its rounding would be heard as it is
  TRY_VOID(reader.done());
  Code2Wav model;
  model.parts_ = std::make_shared<const Parts>(std::move(parts));
  return model;
}

const Code2WavConfig& Code2Wav::config() const { return parts_->config; }

int64_t Code2Wav::samples(int64_t frames) const {
  int64_t count = std::max<int64_t>(frames, 0);
  for (const int64_t factor : parts_->config.upsampling_ratios) count *= factor;
  for (const int64_t rate : parts_->config.upsample_rates) count = std::max<int64_t>(0, count - 1) * rate;
  return count;
}

Result<std::vector<float>> Code2Wav::decode(std::span<const int32_t> codes) const {
  Code2WavStream stream(*this);
  std::vector<float> samples;
  const auto block = static_cast<size_t>(kFramesAtOnce * parts_->config.num_quantizers);
  for (size_t begin = 0; begin < codes.size(); begin += block) {
    TRY(const auto part, stream.step(codes.subspan(begin, std::min(block, codes.size() - begin))));
    samples.insert(samples.end(), part.begin(), part.end());
  }
  return samples;
}

}  // namespace calliope::model
