#include "model/audio_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/thread_pool.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/conv.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "model/weight_reader.h"

namespace calliope::model {
namespace {

using kernels::LinearWeight;
using kernels::PackedWeight;
using tensor::ConstRows;
using tensor::Rows;
using tensor::Tensor;
using tensor::View;

constexpr float kLayerNormEps = 1e-5f;
constexpr int64_t kTokensPerChunk = 13;  // fixed in the reference's _get_feat_extract_output_lengths

int64_t halved(int64_t length) { return (length + 1) / 2; }
int64_t chunk_tokens(int64_t frames) { return halved(halved(halved(frames))); }

struct Layer {
  View self_attn_layer_norm_weight, self_attn_layer_norm_bias, final_layer_norm_weight, final_layer_norm_bias;
  LinearWeight q_proj, k_proj, v_proj, out_proj, fc1, fc2;
};

// A picture [width, height, channels] with a border of one zero on each side, as the 3 x 3 convolutions read it.
class BorderedImage {
 public:
  BorderedImage(int64_t width, int64_t height, int64_t channels)
      : width_(width), height_(height), channels_(channels), data_({width + 2, height + 2, channels}) {}
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  /// Column x without its border: [height, channels].
  Rows column(int64_t x) { return {at(x + 1, 1), height_, channels_, channels_}; }
  Rows all() { return data_.rows(); }
  /// The windows of stride 2 that give column x of the next picture.
  kernels::Windows windows(int64_t x) {
    return {.data = at(2 * x, 0),
            .rows = halved(height_),
            .stride = 2 * channels_,
            .taps = 3,
            .tap_stride = (height_ + 2) * channels_,
            .cols = 3 * channels_};
  }

 private:
  float* at(int64_t x, int64_t y) { return data_.data() + (x * (height_ + 2) + y) * channels_; }
  int64_t width_, height_, channels_;
  Tensor data_;
};

// gelu(conv2d(x)), stride 2, padding 1. The border stays zero, as gelu(0) is 0.
BorderedImage conv_gelu(BorderedImage& x, const PackedWeight& w) {
  BorderedImage y(halved(x.width()), halved(x.height()), w.out());
  parallel_for(y.width(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column) {
      kernels::conv(x.windows(column), w, y.column(column));
      kernels::gelu(y.column(column));
    }
  });
  return y;
}

}  // namespace

int64_t audio_tokens(int64_t frames, const AudioConfig& config) {
  const int64_t chunk = 2 * config.n_window;
  return chunk_tokens(frames % chunk) + frames / chunk * chunk_tokens(chunk);
}

struct AudioEncoder::Parts {
  AudioConfig config;
  kernels::Activation activation = nullptr;
  PackedWeight conv2d1, conv2d2, conv2d3;
  LinearWeight conv_out;
  Tensor positions;  // [tokens of a chunk, d_model]
  std::vector<Layer> layers;
  View ln_post_weight, ln_post_bias;
  LinearWeight proj1, proj2;

  void convolve(ConstRows mel, int64_t padded_frames, Rows out) const;
  void layer(const Layer& w, Rows x) const;
};

// One chunk [frames, mels] -> [tokens, downsample_hidden_size * mels / 8], padded with zeros to padded_frames first.
void AudioEncoder::Parts::convolve(ConstRows mel, int64_t padded_frames, Rows out) const {
  BorderedImage image(padded_frames, mel.cols, 1);
  for (int64_t t = 0; t < mel.rows; ++t) std::copy_n(mel.row(t), mel.cols, image.column(t).data);
  auto half = conv_gelu(image, conv2d1);
  auto quarter = conv_gelu(half, conv2d2);
  auto eighth = conv_gelu(quarter, conv2d3);
  // The reference lays a token's features out by channel, then mel band.
  for (int64_t t = 0; t < out.rows; ++t) {
    const Rows column = eighth.column(t);
    for (int64_t band = 0; band < column.rows; ++band) {
      for (int64_t c = 0; c < column.cols; ++c) out.row(t)[c * column.rows + band] = column.row(band)[c];
    }
  }
}

void AudioEncoder::Parts::layer(const Layer& w, Rows x) const {
  const int64_t d = config.d_model, heads = config.encoder_attention_heads;
  Tensor normed({x.rows, d}), q({x.rows, d}), k({x.rows, d}), v({x.rows, d}), a({x.rows, d}),
      f({x.rows, config.encoder_ffn_dim});
  const std::vector<kernels::KeyRange> everything(static_cast<size_t>(x.rows), {0, x.rows});
  const kernels::AttentionShape shape{.heads = heads,
                                      .kv_heads = heads,
                                      .head_dim = d / heads,
                                      .scale = 1.0f / std::sqrt(static_cast<float>(d / heads))};
  const Rows h = normed.rows();

  kernels::layer_norm(x, w.self_attn_layer_norm_weight, w.self_attn_layer_norm_bias, kLayerNormEps, h);  // [T, D]
  kernels::linear(h, w.q_proj, q.rows());
  kernels::linear(h, w.k_proj, k.rows());
  kernels::linear(h, w.v_proj, v.rows());
  kernels::attention(q.rows(), k.rows(), v.rows(), shape, everything, a.rows());
  kernels::linear(a.rows(), w.out_proj, h);
  kernels::add(h, x);

  kernels::layer_norm(x, w.final_layer_norm_weight, w.final_layer_norm_bias, kLayerNormEps, h);
  kernels::linear(h, w.fc1, f.rows());  // [T, F]
  activation(f.rows());
  kernels::linear(f.rows(), w.fc2, h);
  kernels::add(h, x);
}

Tensor AudioEncoder::embed_chunk(ConstRows mel, int64_t padded_frames) const {
  const Parts& p = *parts_;
  CHECK(mel.rows > 0 && mel.rows <= padded_frames && padded_frames <= chunk_frames());
  Tensor features({chunk_tokens(mel.rows), p.conv_out.in()}), out({features.shape()[0], p.config.d_model});
  p.convolve(mel, padded_frames, features.rows());
  kernels::linear(features.rows(), p.conv_out, out.rows());  // [T, D]
  kernels::add(p.positions.rows().slice(0, out.shape()[0]), out.rows());
  return out;
}

Steps<Tensor> AudioEncoder::encode_block(Tensor embedded) const {
  const Parts& p = *parts_;
  const Rows x = embedded.rows();
  for (const Layer& w : p.layers) {
    p.layer(w, x);
    co_yield Pause{};
  }
  kernels::layer_norm(x, p.ln_post_weight, p.ln_post_bias, kLayerNormEps, x);
  Tensor projected({x.rows, p.config.d_model}), out({x.rows, p.config.output_dim});
  kernels::linear(x, p.proj1, projected.rows());
  p.activation(projected.rows());
  kernels::linear(projected.rows(), p.proj2, out.rows());
  co_return out;
}

Result<AudioEncoder> AudioEncoder::load(const Weights& weights, const AudioConfig& c) {
  const auto activation = kernels::activation_by_name(c.activation_function);
  if (!activation) {
    return fail(ErrorCode::unsupported,
                "config.json: audio activation " + std::string(c.activation_function) + " is not known",
                "activation_function");
  }
  if (chunk_tokens(2 * c.n_window) != kTokensPerChunk) {
    return fail(ErrorCode::unsupported, "config.json: audio n_window must be 49 to 52, which give 13 tokens a chunk",
                "n_window");
  }
  if (c.n_window_infer < 2 * c.n_window) {
    return fail(ErrorCode::invalid_argument, "config.json: audio n_window_infer must be at least 2 n_window",
                "n_window_infer");
  }
  WeightReader reader(weights, "thinker.audio_tower.");
  Parts parts;
  parts.config = c;
  parts.activation = *activation;
  const int64_t d = c.d_model, channels = c.downsample_hidden_size;
  parts.conv2d1 = reader.conv2d("conv2d1", channels, 1);
  parts.conv2d2 = reader.conv2d("conv2d2", channels, channels);
  parts.conv2d3 = reader.conv2d("conv2d3", channels, channels);
  parts.conv_out = reader.linear("conv_out", d, channels * chunk_tokens(c.num_mel_bins), false);
  for (int64_t i = 0; i < c.encoder_layers; ++i) {
    const std::string p = "layers." + std::to_string(i) + ".";
    Layer layer;
    layer.self_attn_layer_norm_weight = reader.take(p + "self_attn_layer_norm.weight", {d});
    layer.self_attn_layer_norm_bias = reader.take(p + "self_attn_layer_norm.bias", {d});
    layer.q_proj = reader.linear(p + "self_attn.q_proj", d, d);
    layer.k_proj = reader.linear(p + "self_attn.k_proj", d, d);
    layer.v_proj = reader.linear(p + "self_attn.v_proj", d, d);
    layer.out_proj = reader.linear(p + "self_attn.out_proj", d, d);
    layer.final_layer_norm_weight = reader.take(p + "final_layer_norm.weight", {d});
    layer.final_layer_norm_bias = reader.take(p + "final_layer_norm.bias", {d});
    layer.fc1 = reader.linear(p + "fc1", c.encoder_ffn_dim, d);
    layer.fc2 = reader.linear(p + "fc2", d, c.encoder_ffn_dim);
    parts.layers.push_back(layer);
  }
  reader.refuse("layers." + std::to_string(c.encoder_layers) + ".fc1.weight", "encoder_layers");
  parts.ln_post_weight = reader.take("ln_post.weight", {d});
  parts.ln_post_bias = reader.take("ln_post.bias", {d});
  parts.proj1 = reader.linear("proj1", d, d);
  parts.proj2 = reader.linear("proj2", c.output_dim, d);
  TRY_VOID(reader.done());

  // SinusoidsPositionEmbedding: sines, then cosines, of t / 10000^(i / (d/2 - 1)).
  parts.positions = Tensor({kTokensPerChunk, d});
  const auto step = static_cast<float>(std::log(10000.0) / double(std::max<int64_t>(d / 2 - 1, 1)));
  for (int64_t t = 0; t < kTokensPerChunk; ++t) {
    for (int64_t i = 0; i < d / 2; ++i) {
      const float angle = static_cast<float>(t) * std::exp(-step * static_cast<float>(i));
      parts.positions.rows().row(t)[i] = std::sin(angle);
      parts.positions.rows().row(t)[d / 2 + i] = std::cos(angle);
    }
  }
  AudioEncoder encoder;
  encoder.parts_ = std::make_shared<const Parts>(std::move(parts));
  return encoder;
}

const AudioConfig& AudioEncoder::config() const { return parts_->config; }

int64_t AudioEncoder::chunk_frames() const { return 2 * parts_->config.n_window; }

int64_t AudioEncoder::block_chunks() const { return parts_->config.n_window_infer / chunk_frames(); }

Result<void> AudioEncoder::check() const {
  if (parts_) return {};
  return fail(ErrorCode::unsupported, "this model reads text only: it has no audio encoder", "messages");
}

Result<Tensor> AudioEncoder::encode(ConstRows mel) const {
  TRY(auto features, encode(std::span(&mel, 1)));
  return std::move(features.front());
}

Result<std::vector<Tensor>> AudioEncoder::encode(std::span<const ConstRows> clips) const {
  TRY_VOID(check());
  const AudioConfig& c = parts_->config;
  const int64_t chunk = chunk_frames(), block = block_chunks() * chunk;
  int64_t longest_chunk = 0;
  for (const ConstRows& mel : clips) {
    if (mel.rows == 0) return fail(ErrorCode::invalid_argument, "a sound without any frame", "input_features");
    if (mel.cols != c.num_mel_bins) {
      return fail(ErrorCode::invalid_argument,
                  "sound features have " + std::to_string(mel.cols) + " mel bins, the model takes " +
                      std::to_string(c.num_mel_bins),
                  "input_features");
    }
    longest_chunk = std::max(longest_chunk, std::min(mel.rows, chunk));
  }
  std::vector<Tensor> encoded;
  for (const ConstRows& mel : clips) {
    std::vector<Tensor> parts;
    // Attention never looks beyond its block, so blocks are independent from end to end.
    for (int64_t begin = 0; begin < mel.rows; begin += block) {
      std::vector<Tensor> chunks;
      for (int64_t frame = begin; frame < std::min(begin + block, mel.rows); frame += chunk) {
        chunks.push_back(embed_chunk(mel.slice(frame, std::min(chunk, mel.rows - frame)), longest_chunk));
      }
      parts.push_back(encode_block(joined_rows(chunks)).run());
    }
    encoded.push_back(joined_rows(parts));
  }
  return encoded;
}

Tensor joined_rows(std::span<const Tensor> parts) {
  int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.shape()[0];
  Tensor all({rows, parts.empty() ? 0 : parts.front().shape()[1]});
  float* to = all.data();
  for (const Tensor& part : parts) to = std::copy_n(part.data(), part.elements(), to);
  return all;
}

}  // namespace calliope::model
