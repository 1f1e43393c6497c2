#include "model/code2wav.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/add_scaled.h"
#include "kernels/attention.h"
#include "kernels/conv.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/snake_beta.h"
#include "model/causal_rows.h"
#include "model/weight_reader.h"

namespace calliope::model {
namespace {

using kernels::LinearWeight;
using kernels::PackedWeight;
using tensor::ConstRows;
using tensor::Rows;
using tensor::Tensor;
using tensor::View;

constexpr int64_t kKernel = 7;               // of every dense and depthwise convolution but the 1 x 1 ones
constexpr int64_t kDilations[] = {1, 3, 9};  // of the residual units of a decoder block
constexpr float kConvNextEps = 1e-6f;
constexpr int64_t kFramesAtOnce = 4;  // in decode(): keeps the last stages' activations in the cache

struct TransformerLayer {
  View input_layernorm, post_attention_layernorm, self_attn_layer_scale, mlp_layer_scale;
  LinearWeight q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
};

struct ConvNextBlock {
  kernels::DepthwiseWeight dwconv;
  View norm_weight, norm_bias, gamma;
  LinearWeight pwconv1, pwconv2;
};

struct Upsample {
  int64_t factor = 1;
  PackedWeight transposed;
  ConvNextBlock convnext;
};

struct Snake {
  std::vector<float> rate, scale;
};

struct ResidualUnit {
  int64_t dilation = 1;
  Snake act1, act2;
  PackedWeight conv1, conv2;
};

struct DecoderBlock {
  int64_t rate = 1, out = 0;
  Snake act;
  PackedWeight transposed;
  std::vector<ResidualUnit> units;
};

// SnakeBeta's exponentials, once.
Snake read_snake(WeightReader& reader, const std::string& name, int64_t channels) {
  Snake snake{reader.floats(name + ".alpha", channels), reader.floats(name + ".beta", channels)};
  for (float& rate : snake.rate) rate = std::exp(rate);
  for (float& scale : snake.scale) scale = 1.0f / (std::exp(scale) + 1e-9f);
  return snake;
}

void snake(ConstRows x, const Snake& w, Rows y) { kernels::snake_beta(x, w.rate, w.scale, y); }

// The rows of a tensor under another width: [T, n * width] -> [T * n, width].
Rows split(Rows x, int64_t width) { return {x.data, x.rows * x.cols / width, width, width}; }

Rows sized(Tensor& tensor, int64_t rows, int64_t cols) {
  tensor.resize({rows, cols});
  return {tensor.data(), rows, cols, cols};
}

}  // namespace

struct Code2Wav::Parts {
  Code2WavConfig config;
  View code_embedding;
  std::vector<TransformerLayer> layers;
  View norm;
  std::vector<float> frequencies;
  std::vector<Upsample> upsample;
  PackedWeight conv_in;
  std::vector<DecoderBlock> blocks;
  Snake act_out;
  PackedWeight conv_out;
};

struct Code2WavStream::State {
  const Code2Wav::Parts& model;
  int64_t frames = 0;
  // All that one step hands to the next, in the order in which a step needs it: nothing a reset could forget.
  std::vector<CausalRows> pasts;
  size_t next_past = 0;
  // Scratch of one step.
  Tensor hidden, normed, query, branch, gate, up, cosine, sine, unit, samples;
  std::vector<kernels::KeyRange> ranges;

  explicit State(const Code2Wav::Parts& parts);
  void reset();
  std::span<const float> step(std::span<const int32_t> codes);

  CausalRows& past() { return pasts[next_past++]; }
  Rows embed(std::span<const int32_t> codes);
  void rotary(int64_t rows);
  void transformer_layer(const TransformerLayer& w, Rows x);
  Rows upsample_stage(const Upsample& w, ConstRows x);
  Rows decoder_block(const DecoderBlock& w, ConstRows x);
};

Code2WavStream::State::State(const Code2Wav::Parts& parts) : model(parts) {
  using enum CausalRows::Start;
  const Code2WavConfig& c = parts.config;
  for (size_t i = 0; i < 2 * parts.layers.size(); ++i) {  // keys and values
    pasts.emplace_back(c.sliding_window - 1, c.num_key_value_heads * c.head_dim, empty);
  }
  for (size_t i = 0; i < parts.upsample.size(); ++i) pasts.emplace_back(kKernel - 1, c.hidden_size, zeros);
  pasts.emplace_back(kKernel - 1, c.hidden_size, zeros);
  int64_t channels = c.decoder_dim;
  for (const DecoderBlock& block : parts.blocks) {
    pasts.emplace_back(1, channels, empty);
    channels = block.out;
    for (const ResidualUnit& unit : block.units) pasts.emplace_back((kKernel - 1) * unit.dilation, channels, zeros);
  }
  pasts.emplace_back(kKernel - 1, channels, zeros);
}

void Code2WavStream::State::reset() {
  frames = 0;
  for (CausalRows& past : pasts) past.reset();
}

std::span<const float> Code2WavStream::State::step(std::span<const int32_t> codes) {
  const Code2WavConfig& c = model.config;
  next_past = 0;
  Rows x = embed(codes);  // [T, D], the mean of the groups' embeddings
  rotary(x.rows);
  for (const TransformerLayer& layer : model.layers) transformer_layer(layer, x);
  kernels::rms_norm(x, model.norm, c.rms_norm_eps, x);
  frames += x.rows;

  for (const Upsample& stage : model.upsample) x = upsample_stage(stage, x);  // [T * factor, D]

  CausalRows& first = past();
  const Rows in = first.append(x.rows);
  std::copy_n(x.data, x.rows * x.cols, in.data);
  x = sized(hidden, x.rows, c.decoder_dim);
  kernels::conv(kernels::causal_windows(first.window(), kKernel, 1), model.conv_in, x);
  for (const DecoderBlock& block : model.blocks) x = decoder_block(block, x);  // [T * rate, C / 2]

  CausalRows& last = past();
  snake(x, model.act_out, last.append(x.rows));
  const Rows wave = sized(samples, x.rows, 1);
  kernels::conv(kernels::causal_windows(last.window(), kKernel, 1), model.conv_out, wave);
  for (float& sample : samples.span()) sample = std::clamp(sample, -1.0f, 1.0f);
  CHECK(next_past == pasts.size());
  return samples.span();
}

Rows Code2WavStream::State::embed(std::span<const int32_t> codes) {
  const Code2WavConfig& c = model.config;
  const int64_t groups = c.num_quantizers;
  const Rows x = sized(hidden, static_cast<int64_t>(codes.size()) / groups, c.hidden_size);
  for (int64_t t = 0; t < x.rows; ++t) {
    std::fill_n(x.row(t), x.cols, 0.0f);
    for (int64_t group = 0; group < groups; ++group) {
      const View row =
          model.code_embedding.row(group * c.codebook_size + codes[static_cast<size_t>(t * groups + group)]);
      for (int64_t i = 0; i < x.cols; ++i) x.row(t)[i] += row.at(i);
    }
    for (int64_t i = 0; i < x.cols; ++i) x.row(t)[i] /= static_cast<float>(groups);
  }
  return x;
}

// Angles of the next `rows` positions, and the keys each of them sees: itself and sliding_window - 1 before it.
void Code2WavStream::State::rotary(int64_t rows) {
  const auto half = static_cast<int64_t>(model.frequencies.size());
  const Rows c = sized(cosine, rows, half), s = sized(sine, rows, half);
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(frames + t) * model.frequencies[static_cast<size_t>(i)];
      c.row(t)[i] = std::cos(angle);
      s.row(t)[i] = std::sin(angle);
    }
  }
  const int64_t window = model.config.sliding_window, held = std::min(frames, window - 1);
  ranges.clear();
  for (int64_t t = 0; t < rows; ++t) ranges.push_back({std::max<int64_t>(0, held + t - (window - 1)), held + t + 1});
}

void Code2WavStream::State::transformer_layer(const TransformerLayer& w, Rows x) {
  const Code2WavConfig& c = model.config;
  const int64_t rows = x.rows, width = c.num_attention_heads * c.head_dim;
  const Rows h = sized(normed, rows, c.hidden_size);
  const Rows q = sized(query, rows, width), b = sized(branch, rows, c.hidden_size);
  CausalRows &keys = past(), &values = past();
  const Rows k = keys.append(rows), v = values.append(rows);

  kernels::rms_norm(x, w.input_layernorm, c.rms_norm_eps, h);  // [T, D]
  kernels::linear(h, w.q_proj, q);                             // [T, heads * head_dim]
  kernels::linear(h, w.k_proj, k);                             // [T, kv_heads * head_dim]
  kernels::linear(h, w.v_proj, v);
  kernels::rope(q, c.head_dim, cosine.rows(), sine.rows());
  kernels::rope(k, c.head_dim, cosine.rows(), sine.rows());
  const kernels::AttentionShape shape{.heads = c.num_attention_heads,
                                      .kv_heads = c.num_key_value_heads,
                                      .head_dim = c.head_dim,
                                      .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim))};
  const Rows a = sized(gate, rows, width);
  kernels::attention(q, keys.window(), values.window(), shape, ranges, a);
  kernels::linear(a, w.o_proj, b);
  kernels::add_scaled(b, w.self_attn_layer_scale, x);

  kernels::rms_norm(x, w.post_attention_layernorm, c.rms_norm_eps, h);
  const Rows g = sized(gate, rows, c.intermediate_size), u = sized(up, rows, c.intermediate_size);
  kernels::linear(h, w.gate_proj, g);
  kernels::linear(h, w.up_proj, u);
  kernels::silu_mul(u, g);
  kernels::linear(g, w.down_proj, b);
  kernels::add_scaled(b, w.mlp_layer_scale, x);
}

// [T, D] -> [T * factor, D]: a transposed convolution without overlap, then a ConvNeXt block.
Rows Code2WavStream::State::upsample_stage(const Upsample& w, ConstRows x) {
  const int64_t rows = x.rows * w.factor, width = x.cols;
  CausalRows& dwconv = past();
  const Rows in = dwconv.append(rows);
  kernels::conv(kernels::causal_windows(x, 1, 1), w.transposed, {in.data, x.rows, w.factor * width, w.factor * width});
  const Rows h = sized(normed, rows, width), wide = sized(gate, rows, 4 * width), b = sized(branch, rows, width);
  kernels::depthwise_conv1d(dwconv.window(), w.convnext.dwconv, h);
  kernels::layer_norm(h, w.convnext.norm_weight, w.convnext.norm_bias, kConvNextEps, h);
  kernels::linear(h, w.convnext.pwconv1, wide);
  kernels::gelu(wide);
  kernels::linear(wide, w.convnext.pwconv2, b);
  const Rows y = sized(hidden, rows, width);
  std::copy_n(in.data, rows * width, y.data);
  kernels::add_scaled(b, w.convnext.gamma, y);
  return y;
}

// [T, C] -> [T * rate, C / 2], the very first row of a stream giving nothing: each block of `rate` outputs needs the
// rows before and after it, and the reference trims what either would give alone.
Rows Code2WavStream::State::decoder_block(const DecoderBlock& w, ConstRows x) {
  CausalRows& pair = past();
  snake(x, w.act, pair.append(x.rows));
  const auto pairs = kernels::causal_windows(pair.window(), 2, 1);
  const Rows blocks_of_rate = sized(hidden, pairs.rows, w.rate * w.out);
  kernels::conv(pairs, w.transposed, blocks_of_rate);
  const Rows y = split(blocks_of_rate, w.out);
  const Rows h = sized(unit, y.rows, w.out), b = sized(branch, y.rows, w.out);
  for (const ResidualUnit& u : w.units) {
    CausalRows& dilated = past();
    snake(y, u.act1, dilated.append(y.rows));
    kernels::conv(kernels::causal_windows(dilated.window(), kKernel, u.dilation), u.conv1, h);
    snake(h, u.act2, h);
    kernels::conv(kernels::causal_windows(h, 1, 1), u.conv2, b);
    kernels::add(b, y);
  }
  return y;
}

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

Code2WavStream::Code2WavStream(const Code2Wav& model)
    : model_(model), state_(std::make_unique<State>(*model_.parts_)) {}
Code2WavStream::~Code2WavStream() = default;
Code2WavStream::Code2WavStream(Code2WavStream&&) noexcept = default;
Code2WavStream& Code2WavStream::operator=(Code2WavStream&&) noexcept = default;

Result<std::span<const float>> Code2WavStream::step(std::span<const int32_t> codes) {
  const Code2WavConfig& c = model_.config();
  if (codes.size() % static_cast<size_t>(c.num_quantizers) != 0) {
    return fail(ErrorCode::invalid_argument, "codes must come in frames of " + std::to_string(c.num_quantizers),
                "codes");
  }
  for (const int32_t code : codes) {
    if (code >= 0 && code < c.codebook_size) continue;
    return fail(ErrorCode::invalid_argument,
                "code " + std::to_string(code) + " is not below " + std::to_string(c.codebook_size), "codes");
  }
  return state_->step(codes);
}

void Code2WavStream::reset() { state_->reset(); }

int64_t Code2WavStream::frames() const { return state_->frames; }

}  // namespace calliope::model
