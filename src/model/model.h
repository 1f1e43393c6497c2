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
#include "model/generation_config.h"
#include "model/image_processor.h"
#include "model/log_mel.h"
#include "model/model_source.h"
#include "model/talker.h"
#include "model/thinker.h"
#include "model/tokenizer.h"
#include "model/vision_encoder.h"
#include "model/weights.h"

namespace calliope::model {

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
  bool text_only = false;            ///< no audio and vision encoder

  bool speaks() const { return talker && code2wav; }
  /// Of keys and values, if nobody asks for another: as exact as the weights are, bf16 beside quantised ones, else f32.
  tensor::DType kv_type() const { return packed_bytes(weights) > 0 ? tensor::DType::bf16 : tensor::DType::f32; }
};

/// Loads a checkpoint folder as published on the hub, or a GGUF file. Errors name the file, field or tensor.
Result<std::shared_ptr<const Model>> load_model(const std::string& path);

/// Whether the tokenizer has the special tokens that config.json names, as a conversation needs them.
Result<void> check_chat_tokens(const Model& model);

}  // namespace calliope::model
