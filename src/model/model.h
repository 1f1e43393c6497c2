#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/audio_encoder.h"
#include "model/chat_template.h"
#include "model/code2wav.h"
#include "model/config.h"
#include "model/image_processor.h"
#include "model/log_mel.h"
#include "model/talker.h"
#include "model/thinker.h"
#include "model/tokenizer.h"
#include "model/vision_encoder.h"
#include "model/weights.h"

namespace calliope::model {

/// How tokens are drawn when the request does not say (generation_config.json).
struct DrawDefaults {
  bool do_sample = false;
  float temperature = 1.0f;
  int top_k = 50;
  float top_p = 1.0f;
  float repetition_penalty = 1.0f;
};

struct GenerationConfig {
  DrawDefaults thinker;
  /// The reference's generate(): sampling, temperature 0.9, top-k 50, repetition penalty 1.05.
  DrawDefaults talker = {.do_sample = true, .temperature = 0.9f, .top_k = 50, .top_p = 1.0f, .repetition_penalty = 1.05f};
  /// The reference's residual codes: top-k 50, top-p 0.8.
  DrawDefaults code_predictor = {.do_sample = true, .temperature = 1.0f, .top_k = 50, .top_p = 0.8f};
  int talker_max_new_tokens = 4096;
  std::vector<int32_t> eos_token_ids;
};

/// Reads generation_config.json; absent fields keep their defaults.
Result<GenerationConfig> parse_generation_config(std::string_view json);

/// A checkpoint, ready to run. Shared by all sessions; nothing in it changes.
struct Model {
  Config config;
  GenerationConfig generation;
  Weights weights;
  Tokenizer tokenizer;
  ChatTemplate chat_template;
  LogMel log_mel;
  ImageProcessor image_processor;
  AudioEncoder audio_encoder;
  VisionEncoder vision_encoder;
  Thinker thinker;
  std::optional<Talker> talker;      ///< with code predictor; none when enable_audio_output is false
  std::optional<Code2Wav> code2wav;

  bool speaks() const { return talker && code2wav; }
};

/// Loads a checkpoint folder as published on the hub. Errors name the file, field or tensor.
Result<std::shared_ptr<const Model>> load_model(const std::string& folder);

/// Whether the tokenizer has the special tokens that config.json names, as a conversation needs them.
Result<void> check_chat_tokens(const Model& model);

/// The whole of a small file. not_found (a folder too), io or too_large (over `limit` bytes).
Result<std::string> read_file(const std::string& path, size_t limit = size_t{256} << 20);

}  // namespace calliope::model
