#pragma once

// What code2wav.cc reads from a checkpoint and code2wav_stream.cc runs.

#include <vector>

#include "kernels/conv.h"
#include "kernels/linear.h"
#include "model/code2wav.h"

namespace calliope::model {
namespace code2wav {

using kernels::LinearWeight;
using kernels::PackedWeight;
using tensor::View;

inline constexpr int64_t kKernel = 7;               // of every dense and depthwise convolution but the 1 x 1 ones
inline constexpr int64_t kFramesAtOnce = 4;         // with more, the last stages' activations leave the cache
inline constexpr int64_t kDilations[] = {1, 3, 9};  // of the residual units of a decoder block

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

}  // namespace code2wav

struct Code2Wav::Parts {
  Code2WavConfig config;
  tensor::View code_embedding;
  std::vector<code2wav::TransformerLayer> layers;
  tensor::View norm;
  std::vector<float> frequencies;
  std::vector<code2wav::Upsample> upsample;
  kernels::PackedWeight conv_in;
  std::vector<code2wav::DecoderBlock> blocks;
  code2wav::Snake act_out;
  kernels::PackedWeight conv_out;
};

}  // namespace calliope::model
