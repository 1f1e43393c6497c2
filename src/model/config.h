#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::model {

/// A decoder of the Qwen3 family: thinker text, talker text, code predictor. Field names are the checkpoint's.
struct DecoderConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 32768;
  float rms_norm_eps = 1e-6f;
  double rope_theta = 1e6;
  std::array<int64_t, 3> mrope_section = {0, 0, 0};  ///< frequencies of time, height, width; only 1 and 2 are read
  bool attention_bias = false;

  int64_t num_experts = 0;  ///< 0: every layer is dense
  int64_t num_experts_per_tok = 0;
  int64_t moe_intermediate_size = 0;
  int64_t shared_expert_intermediate_size = 0;  ///< talker only
  bool norm_topk_prob = true;
  int64_t decoder_sparse_step = 1;
  std::vector<int64_t> mlp_only_layers;

  /// Whether layer i routes to experts (Qwen3OmniMoeThinkerTextDecoderLayer).
  bool sparse(int64_t layer) const;
};

struct AudioConfig {
  int64_t num_mel_bins = 128;
  int64_t encoder_layers = 32;
  int64_t encoder_attention_heads = 20;
  int64_t encoder_ffn_dim = 5120;
  int64_t d_model = 1280;
  int64_t max_source_positions = 1500;
  int64_t n_window = 50;
  int64_t n_window_infer = 800;
  int64_t output_dim = 3584;
  int64_t downsample_hidden_size = 480;
  std::string activation_function = "gelu";
};

struct VisionConfig {
  int64_t depth = 27;
  int64_t hidden_size = 1152;
  int64_t intermediate_size = 4304;
  int64_t num_heads = 16;
  int64_t in_channels = 3;
  int64_t patch_size = 16;
  int64_t spatial_merge_size = 2;
  int64_t temporal_patch_size = 2;
  int64_t out_hidden_size = 3584;
  int64_t num_position_embeddings = 2304;
  double rope_theta = 10000.0;
  std::vector<int64_t> deepstack_visual_indexes = {8, 16, 24};
  std::string hidden_act = "gelu_pytorch_tanh";
};

struct ThinkerConfig {
  DecoderConfig text;
  AudioConfig audio;
  VisionConfig vision;
  bool tie_word_embeddings = false;
  int64_t position_id_per_seconds = 25;
  int32_t audio_token_id = 151646;
  int32_t image_token_id = 151655;
  int32_t video_token_id = 151656;
  int32_t audio_start_token_id = 151647;
  int32_t vision_start_token_id = 151652;
};

struct CodePredictorConfig {
  DecoderConfig decoder;
  int64_t num_code_groups = 32;
};

struct TalkerConfig {
  DecoderConfig text;
  CodePredictorConfig code_predictor;
  int64_t num_code_groups = 32;
  int64_t thinker_hidden_size = 2048;
  int64_t accept_hidden_layer = 18;
  int64_t spatial_merge_size = 2;
  int32_t codec_pad_id = 4196;
  int32_t codec_bos_id = 4197;
  int32_t codec_eos_token_id = 4198;
  int32_t codec_nothink_id = 4203;
  int32_t codec_think_bos_id = 4204;
  int32_t codec_think_eos_id = 4205;
  std::map<std::string, int32_t> speaker_id;
};

struct Code2WavConfig {
  int64_t codebook_size = 2048;
  int64_t num_quantizers = 16;
  int64_t hidden_size = 1024;
  int64_t num_hidden_layers = 8;
  int64_t num_attention_heads = 16;
  int64_t num_key_value_heads = 16;
  int64_t head_dim = 64;
  int64_t intermediate_size = 3072;
  int64_t sliding_window = 72;
  int64_t max_position_embeddings = 8000;
  float rms_norm_eps = 1e-5f;
  double rope_theta = 10000.0;
  bool attention_bias = false;
  std::vector<int64_t> upsample_rates = {8, 5, 4, 3};
  std::vector<int64_t> upsampling_ratios = {2, 2};
  int64_t decoder_dim = 1536;
};

/// The whole config.json of a qwen3_omni_moe checkpoint; defaults are those of transformers' configuration classes.
struct Config {
  ThinkerConfig thinker;
  bool enable_audio_output = true;  ///< has talker and code2wav
  TalkerConfig talker;
  Code2WavConfig code2wav;
  int32_t im_start_token_id = 151644;
  int32_t im_end_token_id = 151645;
  int32_t tts_pad_token_id = 151671;
  int32_t tts_bos_token_id = 151672;
  int32_t tts_eos_token_id = 151673;
  int32_t system_token_id = 8948;
  int32_t user_token_id = 872;
  int32_t assistant_token_id = 77091;
};

/// Reads config.json, old form (rope_theta, rope_scaling) and new (rope_parameters). Errors name the field: wrong
/// types, sizes out of range or that contradict each other, activations and RoPE types this engine does not compute.
Result<Config> parse_config(std::string_view json);

}  // namespace calliope::model
