#include "model/config.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cmath>

#include "model/config_reader.h"

namespace calliope::model {
namespace {

constexpr int64_t kMaxWidth = 1 << 17;
constexpr int64_t kMaxVocabulary = 1 << 22;
constexpr int64_t kMaxLayers = 1024;

void read_rope(ConfigReader& reader, double& theta, std::array<int64_t, 3>* section) {
  std::string type = "default";
  const auto read_type = [&](ConfigReader& fields) {
    fields.text("type", type);
    fields.text("rope_type", type);
    fields.require(type == "default" || type == "mrope" || type == "axial", "rope_type",
                   "\"default\"; other RoPE scalings are not computed");
  };
  reader.number("rope_theta", theta, 1.0, 1e12);
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!reader.has(name)) continue;
    auto fields = reader.nested(name);
    read_type(fields);
    fields.number("rope_theta", theta, 1.0, 1e12);
    if (!section) continue;
    std::vector<int64_t> numbers;
    fields.integers("mrope_section", numbers, 0, 4096, 3);
    if (numbers.size() == 3)
      std::copy(numbers.begin(), numbers.end(), section->begin());
    else
      fields.require(numbers.empty(), "mrope_section", "three whole numbers");
  }
}

void read_activation(ConfigReader& reader, std::string_view name) {
  std::string activation = "silu";
  reader.text(name, activation);
  reader.require(activation == "silu", name, "\"silu\"");
}

void read_decoder(ConfigReader& reader, DecoderConfig& config) {
  reader.integer("vocab_size", config.vocab_size, 1, kMaxVocabulary);
  reader.integer("hidden_size", config.hidden_size, 2, kMaxWidth);
  reader.integer("intermediate_size", config.intermediate_size, 1, kMaxWidth * 8);
  reader.integer("num_hidden_layers", config.num_hidden_layers, 1, kMaxLayers);
  reader.integer("num_attention_heads", config.num_attention_heads, 1, 4096);
  config.num_key_value_heads = std::min(config.num_key_value_heads, config.num_attention_heads);
  reader.integer("num_key_value_heads", config.num_key_value_heads, 1, 4096);
  if (config.head_dim == 0) config.head_dim = config.hidden_size / std::max<int64_t>(1, config.num_attention_heads);
  reader.integer("head_dim", config.head_dim, 2, 4096);
  reader.integer("max_position_embeddings", config.max_position_embeddings, 1, int64_t{1} << 31);
  reader.number("rms_norm_eps", config.rms_norm_eps, 0.0, 1.0);
  reader.boolean("attention_bias", config.attention_bias);
  read_activation(reader, "hidden_act");
  reader.require(config.num_attention_heads % config.num_key_value_heads == 0, "num_key_value_heads",
                 "a divisor of num_attention_heads");
  reader.require(config.head_dim % 2 == 0, "head_dim", "even");
}

void read_experts(ConfigReader& reader, DecoderConfig& config) {
  reader.integer("num_local_experts", config.num_experts, 0, 4096);
  reader.integer("num_experts", config.num_experts, 0, 4096);
  reader.integer("num_experts_per_tok", config.num_experts_per_tok, 1, 4096);
  reader.integer("moe_intermediate_size", config.moe_intermediate_size, 1, kMaxWidth * 8);
  reader.boolean("norm_topk_prob", config.norm_topk_prob);
  reader.integer("decoder_sparse_step", config.decoder_sparse_step, 1, kMaxLayers);
  reader.integers("mlp_only_layers", config.mlp_only_layers, 0, kMaxLayers, kMaxLayers);
  reader.require(config.num_experts == 0 || config.num_experts_per_tok <= config.num_experts, "num_experts_per_tok",
                 "at most num_experts");
}

void read_audio(ConfigReader reader, AudioConfig& config) {
  reader.integer("num_mel_bins", config.num_mel_bins, 8, 1024);
  reader.integer("encoder_layers", config.encoder_layers, 1, kMaxLayers);
  reader.integer("num_hidden_layers", config.encoder_layers, 1, kMaxLayers);
  reader.integer("encoder_attention_heads", config.encoder_attention_heads, 1, 4096);
  reader.integer("encoder_ffn_dim", config.encoder_ffn_dim, 1, kMaxWidth * 8);
  reader.integer("d_model", config.d_model, 4, kMaxWidth);
  reader.integer("max_source_positions", config.max_source_positions, 1, 1 << 20);
  reader.integer("n_window", config.n_window, 1, 1 << 16);
  reader.integer("n_window_infer", config.n_window_infer, 1, 1 << 20);
  reader.integer("output_dim", config.output_dim, 1, kMaxWidth);
  reader.integer("downsample_hidden_size", config.downsample_hidden_size, 1, 1 << 14);
  reader.text("activation_function", config.activation_function);
  reader.require(config.activation_function == "gelu", "activation_function", "\"gelu\"");
  reader.require(config.d_model % 2 == 0 && config.d_model % config.encoder_attention_heads == 0, "d_model",
                 "even and a multiple of encoder_attention_heads");
  reader.require(config.n_window_infer >= 2 * config.n_window, "n_window_infer", "at least 2 n_window");
}

void read_vision(ConfigReader reader, VisionConfig& config) {
  reader.integer("depth", config.depth, 1, kMaxLayers);
  reader.integer("hidden_size", config.hidden_size, 4, kMaxWidth);
  reader.integer("intermediate_size", config.intermediate_size, 1, kMaxWidth * 8);
  reader.integer("num_heads", config.num_heads, 1, 4096);
  reader.integer("in_channels", config.in_channels, 3, 3);
  reader.integer("patch_size", config.patch_size, 1, 256);
  reader.integer("spatial_merge_size", config.spatial_merge_size, 1, 16);
  reader.integer("temporal_patch_size", config.temporal_patch_size, 1, 16);
  reader.integer("out_hidden_size", config.out_hidden_size, 1, kMaxWidth);
  reader.integer("num_position_embeddings", config.num_position_embeddings, 1, 1 << 20);
  reader.integers("deepstack_visual_indexes", config.deepstack_visual_indexes, 0, kMaxLayers, 64);
  read_rope(reader, config.rope_theta, nullptr);
  reader.text("hidden_act", config.hidden_act);
  reader.require(config.hidden_act == "gelu_pytorch_tanh" || config.hidden_act == "gelu", "hidden_act",
                 "\"gelu_pytorch_tanh\" or \"gelu\"");
  reader.require(config.hidden_size % config.num_heads == 0 && config.hidden_size / config.num_heads % 4 == 0,
                 "hidden_size", "a multiple of 4 num_heads");
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(config.num_position_embeddings))));
  reader.require(side * side == config.num_position_embeddings, "num_position_embeddings", "a square number");
  for (const int64_t index : config.deepstack_visual_indexes) {
    reader.require(index < config.depth, "deepstack_visual_indexes", "below depth");
  }
}

void read_thinker(ConfigReader reader, ThinkerConfig& config) {
  auto text = reader.nested("text_config");
  config.text = {.vocab_size = 3584,
                 .hidden_size = 2048,
                 .intermediate_size = 18944,
                 .num_hidden_layers = 28,
                 .num_attention_heads = 28,
                 .num_key_value_heads = 4,
                 .mrope_section = {24, 20, 20},
                 .num_experts = 128,
                 .num_experts_per_tok = 8,
                 .moe_intermediate_size = 768};
  read_decoder(text, config.text);
  read_experts(text, config.text);
  read_rope(text, config.text.rope_theta, &config.text.mrope_section);
  read_audio(reader.nested("audio_config"), config.audio);
  read_vision(reader.nested("vision_config"), config.vision);
  text.boolean("tie_word_embeddings", config.tie_word_embeddings);
  reader.boolean("tie_word_embeddings", config.tie_word_embeddings);
  reader.integer("position_id_per_seconds", config.position_id_per_seconds, 1, 10000);
  for (const auto& [name, id] : {std::pair<const char*, int32_t*>{"audio_token_id", &config.audio_token_id},
                                 {"image_token_id", &config.image_token_id},
                                 {"video_token_id", &config.video_token_id},
                                 {"audio_start_token_id", &config.audio_start_token_id},
                                 {"vision_start_token_id", &config.vision_start_token_id}}) {
    reader.id(name, *id);
  }
  auto audio = reader.nested("audio_config"), vision = reader.nested("vision_config");
  audio.require(config.audio.output_dim == config.text.hidden_size, "output_dim", "the thinker's hidden_size");
  vision.require(config.vision.out_hidden_size == config.text.hidden_size, "out_hidden_size",
                 "the thinker's hidden_size");
}

void read_speakers(ConfigReader& reader, TalkerConfig& config) {
  if (!reader.has("speaker_id")) return;
  const auto speakers = reader.nested("speaker_id");
  if (!speakers.object()) return;
  if (speakers.object()->size() > 4096) return reader.wrong("speaker_id", "at most 4096 speakers");
  for (const auto& [name, value] : *speakers.object()) {
    int64_t id = 0;
    auto fields = speakers;
    fields.integer(name, id, 0, config.text.vocab_size - 1);
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    config.speaker_id[lower] = static_cast<int32_t>(id);
  }
}

void read_talker(ConfigReader reader, const Config& whole, TalkerConfig& config) {
  auto text = reader.nested("text_config");
  config.text = {.vocab_size = 3072,
                 .hidden_size = 1024,
                 .intermediate_size = 2048,
                 .num_hidden_layers = 20,
                 .num_attention_heads = 16,
                 .num_key_value_heads = 2,
                 .mrope_section = {24, 20, 20},
                 .num_experts = 128,
                 .num_experts_per_tok = 8,
                 .moe_intermediate_size = 384,
                 .norm_topk_prob = false};
  read_decoder(text, config.text);
  read_experts(text, config.text);
  text.integer("shared_expert_intermediate_size", config.text.shared_expert_intermediate_size, 1, kMaxWidth * 8);
  text.require(config.text.num_experts >= 1, "num_experts", "at least 1 in the talker");
  text.require(config.text.shared_expert_intermediate_size >= 1, "shared_expert_intermediate_size", "given");
  read_rope(text, config.text.rope_theta, &config.text.mrope_section);

  auto predictor = reader.nested("code_predictor_config");
  config.code_predictor.decoder = {.vocab_size = 2048,
                                   .hidden_size = 1024,
                                   .intermediate_size = 3072,
                                   .num_hidden_layers = 5,
                                   .num_attention_heads = 16,
                                   .num_key_value_heads = 8,
                                   .head_dim = 128};
  read_decoder(predictor, config.code_predictor.decoder);
  read_rope(predictor, config.code_predictor.decoder.rope_theta, nullptr);
  int64_t sliding_window = 0;
  predictor.integer("sliding_window", sliding_window, 1, 1 << 20);
  bool use_sliding_window = sliding_window > 0;
  predictor.boolean("use_sliding_window", use_sliding_window);
  reader.integer("num_code_groups", config.num_code_groups, 2, 256);
  config.code_predictor.num_code_groups = config.num_code_groups;
  predictor.integer("num_code_groups", config.code_predictor.num_code_groups, 2, 256);
  predictor.require(!use_sliding_window || sliding_window > config.num_code_groups, "sliding_window",
                    "null, or longer than a frame's codes");
  predictor.require(config.code_predictor.num_code_groups == config.num_code_groups, "num_code_groups",
                    "the talker's num_code_groups");
  predictor.require(config.code_predictor.decoder.hidden_size == config.text.hidden_size, "hidden_size",
                    "the talker's hidden_size");

  config.thinker_hidden_size = whole.thinker.text.hidden_size;
  reader.integer("thinker_hidden_size", config.thinker_hidden_size, 2, kMaxWidth);
  reader.require(config.thinker_hidden_size == whole.thinker.text.hidden_size, "thinker_hidden_size",
                 "the thinker's hidden_size");
  reader.integer("accept_hidden_layer", config.accept_hidden_layer, 0, whole.thinker.text.num_hidden_layers);
  reader.require(config.accept_hidden_layer <= whole.thinker.text.num_hidden_layers, "accept_hidden_layer",
                 "at most the thinker's num_hidden_layers");
  reader.integer("spatial_merge_size", config.spatial_merge_size, 1, 16);
  for (const auto& [name, id] : {std::pair<const char*, int32_t*>{"codec_pad_id", &config.codec_pad_id},
                                 {"codec_bos_id", &config.codec_bos_id},
                                 {"codec_eos_token_id", &config.codec_eos_token_id},
                                 {"codec_nothink_id", &config.codec_nothink_id},
                                 {"codec_think_bos_id", &config.codec_think_bos_id},
                                 {"codec_think_eos_id", &config.codec_think_eos_id}}) {
    reader.id(name, *id);
    reader.require(*id < config.text.vocab_size, name, "below the talker's vocab_size");
  }
  read_speakers(reader, config);
}

void read_code2wav(ConfigReader reader, const TalkerConfig& talker, Code2WavConfig& config) {
  reader.integer("codebook_size", config.codebook_size, 1, 1 << 20);
  reader.integer("num_quantizers", config.num_quantizers, 1, 256);
  reader.integer("hidden_size", config.hidden_size, 2, kMaxWidth);
  reader.integer("num_hidden_layers", config.num_hidden_layers, 0, kMaxLayers);
  reader.integer("num_attention_heads", config.num_attention_heads, 1, 4096);
  config.num_key_value_heads = config.num_attention_heads;
  reader.integer("num_key_value_heads", config.num_key_value_heads, 1, 4096);
  config.head_dim = config.hidden_size / config.num_attention_heads;
  reader.integer("head_dim", config.head_dim, 2, 4096);
  reader.integer("intermediate_size", config.intermediate_size, 1, kMaxWidth * 8);
  reader.integer("sliding_window", config.sliding_window, 1, 1 << 20);
  reader.integer("max_position_embeddings", config.max_position_embeddings, 1, int64_t{1} << 31);
  reader.number("rms_norm_eps", config.rms_norm_eps, 0.0, 1.0);
  reader.boolean("attention_bias", config.attention_bias);
  read_activation(reader, "hidden_act");
  read_rope(reader, config.rope_theta, nullptr);
  reader.integers("upsample_rates", config.upsample_rates, 1, 1024, 16);
  reader.integers("upsampling_ratios", config.upsampling_ratios, 1, 1024, 16);
  reader.integer("decoder_dim", config.decoder_dim, 1, kMaxWidth);
  reader.require(config.num_attention_heads % config.num_key_value_heads == 0, "num_key_value_heads",
                 "a divisor of num_attention_heads");
  reader.require(config.head_dim % 2 == 0, "head_dim", "even");
  reader.require(config.decoder_dim >> config.upsample_rates.size() >= 1, "decoder_dim",
                 "at least 2 to the number of upsample_rates");
  int64_t samples = 1;
  for (const auto& rates : {config.upsample_rates, config.upsampling_ratios}) {
    for (const int64_t rate : rates) samples = std::min<int64_t>(samples * rate, 1 << 20);
  }
  reader.require(samples < (1 << 20), "upsample_rates", "at most a million samples a frame in all");
  reader.require(config.num_quantizers == talker.num_code_groups, "num_quantizers", "the talker's num_code_groups");
  reader.require(config.codebook_size >= talker.code_predictor.decoder.vocab_size, "codebook_size",
                 "at least the code predictor's vocab_size");
}

}  // namespace

bool DecoderConfig::sparse(int64_t layer) const {
  return num_experts > 0 && (layer + 1) % decoder_sparse_step == 0 &&
         std::find(mlp_only_layers.begin(), mlp_only_layers.end(), layer) == mlp_only_layers.end();
}

Result<Config> parse_config(std::string_view json) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  if (error) return fail(ErrorCode::invalid_argument, "config.json is not JSON: " + error.message());
  if (!value.is_object()) return fail(ErrorCode::invalid_argument, "config.json must be an object");
  std::string mistake, field;
  ConfigReader reader(&value.get_object(), "", mistake, field);
  std::string type;
  reader.text("model_type", type);
  reader.require(type == "qwen3_omni_moe", "model_type", "\"qwen3_omni_moe\", not \"" + type + "\"");
  reader.require(reader.has("thinker_config"), "thinker_config", "given");
  Config config;
  if (reader.ok()) read_thinker(reader.nested("thinker_config"), config.thinker);
  reader.boolean("enable_audio_output", config.enable_audio_output);
  if (reader.ok() && config.enable_audio_output) {
    read_talker(reader.nested("talker_config"), config, config.talker);
    if (reader.ok()) read_code2wav(reader.nested("code2wav_config"), config.talker, config.code2wav);
    // The talker's class reads its own; the thinker's rope index takes it from there too when it has none.
    if (reader.ok()) reader.nested("talker_config").id("vision_start_token_id", config.thinker.vision_start_token_id);
    if (reader.ok()) reader.nested("thinker_config").id("vision_start_token_id", config.thinker.vision_start_token_id);
  }
  for (const auto& [name, id] : {std::pair<const char*, int32_t*>{"im_start_token_id", &config.im_start_token_id},
                                 {"im_end_token_id", &config.im_end_token_id},
                                 {"tts_pad_token_id", &config.tts_pad_token_id},
                                 {"tts_bos_token_id", &config.tts_bos_token_id},
                                 {"tts_eos_token_id", &config.tts_eos_token_id},
                                 {"system_token_id", &config.system_token_id},
                                 {"user_token_id", &config.user_token_id},
                                 {"assistant_token_id", &config.assistant_token_id}}) {
    reader.id(name, *id);
    const bool spoken = std::string_view(name).starts_with("tts_");
    reader.require(!spoken || !config.enable_audio_output || *id < config.thinker.text.vocab_size, name,
                   "below vocab_size");
  }
  if (!mistake.empty()) return fail(ErrorCode::invalid_argument, mistake, field);
  return config;
}

}  // namespace calliope::model
