#include "model/vision_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "kernels/position_grid.h"
#include "kernels/rope.h"
#include "model/weight_reader.h"

namespace calliope::model {
namespace {

using kernels::LinearWeight;
using tensor::ConstRows;
using tensor::Rows;
using tensor::Tensor;
using tensor::View;

constexpr float kLayerNormEps = 1e-6f;

struct Block {
  View norm1_weight, norm1_bias, norm2_weight, norm2_bias;
  LinearWeight qkv, proj, linear_fc1, linear_fc2;
};

// merge_size^2 patches side by side -> one token.
struct Merger {
  bool norm_after_shuffle = false;
  View ln_q_weight, ln_q_bias;
  LinearWeight fc1, fc2;
};

Merger read_merger(WeightReader& reader, const std::string& name, const VisionConfig& c, bool norm_after_shuffle) {
  const int64_t wide = c.hidden_size * c.spatial_merge_size * c.spatial_merge_size;
  const int64_t normed = norm_after_shuffle ? wide : c.hidden_size;
  Merger merger{.norm_after_shuffle = norm_after_shuffle};
  merger.ln_q_weight = reader.take(name + ".ln_q.weight", {normed});
  merger.ln_q_bias = reader.take(name + ".ln_q.bias", {normed});
  merger.fc1 = reader.linear(name + ".mlp.0", wide, wide);
  merger.fc2 = reader.linear(name + ".mlp.2", c.out_hidden_size, wide);
  return merger;
}

// The same memory under another width: [T, D] -> [T D / width, width].
Rows reshaped(Rows x, int64_t width) { return {x.data, x.rows * x.cols / width, width, width}; }

}  // namespace

struct VisionEncoder::Parts {
  VisionConfig config;
  kernels::Activation activation = nullptr;
  LinearWeight patch_embed;
  View pos_embed;
  std::vector<float> frequencies;  // head_dim / 4, the same for rows and columns
  std::vector<Block> blocks;
  Merger merger;
  std::vector<Merger> deepstack_mergers;

  void rotary(const kernels::PatchOrder& order, int64_t frames, Tensor& cosine, Tensor& sine) const;
  Tensor merge(const Merger& w, ConstRows x) const;
};

// Angles [patches, head_dim / 2]: the row's first, then the column's.
void VisionEncoder::Parts::rotary(const kernels::PatchOrder& order, int64_t frames, Tensor& cosine,
                                  Tensor& sine) const {
  const auto count = static_cast<int64_t>(frequencies.size());
  cosine = Tensor({frames * order.patches(), 2 * count});
  sine = cosine;
  for (int64_t i = 0; i < cosine.shape()[0]; ++i) {
    const auto place = order.at(i % order.patches());
    for (int64_t j = 0; j < count; ++j) {
      const float angles[2] = {static_cast<float>(place.row) * frequencies[size_t(j)],
                               static_cast<float>(place.col) * frequencies[size_t(j)]};
      for (int64_t axis = 0; axis < 2; ++axis) {
        cosine.rows().row(i)[axis * count + j] = std::cos(angles[axis]);
        sine.rows().row(i)[axis * count + j] = std::sin(angles[axis]);
      }
    }
  }
}

Tensor VisionEncoder::Parts::merge(const Merger& w, ConstRows x) const {
  const int64_t wide = w.fc1.in();
  Tensor normed({x.rows, x.cols});
  if (w.norm_after_shuffle) {
    const ConstRows shuffled{x.data, x.rows * x.cols / wide, wide, wide};
    kernels::layer_norm(shuffled, w.ln_q_weight, w.ln_q_bias, kLayerNormEps, reshaped(normed.rows(), wide));
  } else {
    kernels::layer_norm(x, w.ln_q_weight, w.ln_q_bias, kLayerNormEps, normed.rows());
  }
  const Rows h = reshaped(normed.rows(), wide);  // [T / merge^2, merge^2 D]
  Tensor between({h.rows, wide}), out({h.rows, w.fc2.out()});
  kernels::linear(h, w.fc1, between.rows());
  kernels::gelu(between.rows());
  kernels::linear(between.rows(), w.fc2, out.rows());
  return out;
}

Result<void> VisionEncoder::check(ConstRows pixel_values, const ImageGrid& grid) const {
  if (!parts_) return fail(ErrorCode::unsupported, "this model reads text only: it has no vision encoder", "messages");
  const Parts& p = *parts_;
  constexpr int64_t kLargestSide = 1 << 16;
  if (grid.t <= 0 || grid.h <= 0 || grid.w <= 0 || std::max({grid.t, grid.h, grid.w}) > kLargestSide ||
      grid.h % p.config.spatial_merge_size != 0 || grid.w % p.config.spatial_merge_size != 0) {
    return fail(ErrorCode::invalid_argument, "a picture's grid must be positive and a multiple of the merge size",
                "image_grid_thw");
  }
  if (pixel_values.rows != grid.patches() || pixel_values.cols != p.patch_embed.in()) {
    return fail(ErrorCode::invalid_argument,
                "a picture's grid wants pixel values [" + std::to_string(grid.patches()) + ", " +
                    std::to_string(p.patch_embed.in()) + "], got [" + std::to_string(pixel_values.rows) + ", " +
                    std::to_string(pixel_values.cols) + "]",
                "pixel_values");
  }
  return {};
}

Result<VisionFeatures> VisionEncoder::encode(ConstRows pixel_values, const ImageGrid& grid) const {
  return encode_steps(pixel_values, grid).run();
}

Steps<Result<VisionFeatures>> VisionEncoder::encode_steps(ConstRows pixel_values, ImageGrid grid) const {
  if (auto fits = check(pixel_values, grid); !fits) co_return std::unexpected(std::move(fits).error());
  const Parts& p = *parts_;
  const VisionConfig& c = p.config;
  const int64_t d = c.hidden_size, heads = c.num_heads, head_dim = d / heads;
  const int64_t patches = grid.patches(), frame = grid.h * grid.w;
  const kernels::PatchOrder order{.height = grid.h, .width = grid.w, .merge = c.spatial_merge_size};
  const kernels::AttentionShape shape{
      .heads = heads, .kv_heads = heads, .head_dim = head_dim, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
  std::vector<kernels::KeyRange> same_frame;
  for (int64_t i = 0; i < patches; ++i) same_frame.push_back({i / frame * frame, (i / frame + 1) * frame});
  Tensor hidden({patches, d}), normed({patches, d}), qkv({patches, 3 * d}), attended({patches, d}),
      f({patches, c.intermediate_size});
  Tensor cosine, sine;
  p.rotary(order, grid.t, cosine, sine);
  const Rows x = hidden.rows(), h = normed.rows(), a = attended.rows();
  const Rows q = qkv.rows().columns(0, d), k = qkv.rows().columns(d, d), v = qkv.rows().columns(2 * d, d);

  VisionFeatures out;
  kernels::linear(pixel_values, p.patch_embed, x);  // [P, D]
  for (int64_t t = 0; t < grid.t; ++t) kernels::add_grid_positions(p.pos_embed, order, x.slice(t * frame, frame));
  for (size_t layer = 0; layer < p.blocks.size(); ++layer) {
    const Block& w = p.blocks[layer];
    kernels::layer_norm(x, w.norm1_weight, w.norm1_bias, kLayerNormEps, h);
    kernels::linear(h, w.qkv, qkv.rows());  // [P, 3 D]
    kernels::rope(q, head_dim, cosine.rows(), sine.rows());
    kernels::rope(k, head_dim, cosine.rows(), sine.rows());
    co_yield Pause{};
    kernels::attention(q, k, v, shape, same_frame, a);
    co_yield Pause{};
    kernels::linear(a, w.proj, h);
    kernels::add(h, x);

    kernels::layer_norm(x, w.norm2_weight, w.norm2_bias, kLayerNormEps, h);
    kernels::linear(h, w.linear_fc1, f.rows());
    p.activation(f.rows());
    co_yield Pause{};
    kernels::linear(f.rows(), w.linear_fc2, h);
    kernels::add(h, x);

    const auto& deep = c.deepstack_visual_indexes;
    const auto found = std::ranges::find(deep, static_cast<int64_t>(layer));
    if (found != deep.end()) out.deepstack.push_back(p.merge(p.deepstack_mergers[size_t(found - deep.begin())], x));
    co_yield Pause{};
  }
  out.features = p.merge(p.merger, x);
  co_return out;
}

Result<VisionEncoder> VisionEncoder::load(const Weights& weights, const VisionConfig& c) {
  const auto activation = kernels::activation_by_name(c.hidden_act);
  if (!activation) {
    return fail(ErrorCode::unsupported, "config.json: vision activation " + std::string(c.hidden_act) + " is not known",
                "hidden_act");
  }
  WeightReader reader(weights, "thinker.visual.");
  Parts parts;
  parts.config = c;
  parts.activation = *activation;
  const int64_t d = c.hidden_size, head_dim = d / c.num_heads;
  if (head_dim % 4 != 0) {
    return fail(ErrorCode::invalid_argument, "config.json: vision hidden_size / num_heads must be a multiple of 4",
                "num_heads");
  }
  const int64_t pixels = c.in_channels * c.temporal_patch_size * c.patch_size * c.patch_size;
  const View patch_weight =
      reader.take("patch_embed.proj.weight", {d, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size});
  if (patch_weight) parts.patch_embed.weight = patch_weight.reshaped({d, pixels});
  parts.patch_embed.bias = reader.take("patch_embed.proj.bias", {d});
  parts.pos_embed = reader.take("pos_embed.weight", {c.num_position_embeddings, d});
  parts.frequencies.resize(static_cast<size_t>(head_dim / 4));
  kernels::rope_frequencies(c.rope_theta, head_dim / 2, parts.frequencies);
  for (int64_t i = 0; i < c.depth; ++i) {
    const std::string p = "blocks." + std::to_string(i) + ".";
    Block block;
    block.norm1_weight = reader.take(p + "norm1.weight", {d});
    block.norm1_bias = reader.take(p + "norm1.bias", {d});
    block.qkv = reader.linear(p + "attn.qkv", 3 * d, d);
    block.proj = reader.linear(p + "attn.proj", d, d);
    block.norm2_weight = reader.take(p + "norm2.weight", {d});
    block.norm2_bias = reader.take(p + "norm2.bias", {d});
    block.linear_fc1 = reader.linear(p + "mlp.linear_fc1", c.intermediate_size, d);
    block.linear_fc2 = reader.linear(p + "mlp.linear_fc2", d, c.intermediate_size);
    parts.blocks.push_back(block);
  }
  reader.refuse("blocks." + std::to_string(c.depth) + ".norm1.weight", "depth");
  parts.merger = read_merger(reader, "merger", c, false);
  for (size_t i = 0; i < c.deepstack_visual_indexes.size(); ++i) {
    parts.deepstack_mergers.push_back(read_merger(reader, "merger_list." + std::to_string(i), c, true));
  }
  TRY_VOID(reader.done());
  VisionEncoder encoder;
  encoder.parts_ = std::make_shared<const Parts>(std::move(parts));
  return encoder;
}

const VisionConfig& VisionEncoder::config() const { return parts_->config; }

}  // namespace calliope::model
