#include "model/model.h"

#include <string>
#include <utility>

#include "base/memory_limit.h"

namespace calliope::model {
namespace {

Result<void> check_together(const Model& model) {
  if (model.tokenizer.vocabulary_size() > model.config.thinker.text.vocab_size) {
    return fail(ErrorCode::invalid_argument, "the tokenizer has " + std::to_string(model.tokenizer.vocabulary_size()) +
                                                 " ids, more than the model's vocab_size");
  }
  if (model.text_only) return {};
  const VisionConfig& vision = model.config.thinker.vision;
  const ImageProcessorConfig& image = model.image_processor.config();
  if (image.patch_size != vision.patch_size || image.merge_size != vision.spatial_merge_size ||
      image.temporal_patch_size != vision.temporal_patch_size) {
    return fail(ErrorCode::invalid_argument,
                "preprocessor_config.json and config.json disagree about patch_size, merge_size or temporal_patch_size");
  }
  if (model.log_mel.config().mels != model.config.thinker.audio.num_mel_bins) {
    return fail(ErrorCode::invalid_argument, "preprocessor_config.json's feature_size is not config.json's num_mel_bins");
  }
  return {};
}

}  // namespace

Result<void> check_chat_tokens(const Model& model) {
  if (model.text_only) return {};  // its tokens were looked up by name
  const ThinkerConfig& thinker = model.config.thinker;
  const std::pair<const char*, int64_t> tokens[] = {{"im_start_token_id", model.config.im_start_token_id},
                                                    {"im_end_token_id", model.config.im_end_token_id},
                                                    {"audio_token_id", thinker.audio_token_id},
                                                    {"image_token_id", thinker.image_token_id}};
  for (const auto& [field, id] : tokens) {
    if (id < model.tokenizer.vocabulary_size() && model.tokenizer.is_special(static_cast<int32_t>(id))) continue;
    return fail(ErrorCode::invalid_argument,
                "tokenizer.json and config.json do not belong together: " + std::string(field) + " " + std::to_string(id) +
                    " is no special token in tokenizer.json's added_tokens", field);
  }
  return {};
}

namespace {

Result<void> check_alignment_heads(const Model& model) {
  const DecoderConfig& talker = model.config.talker.text;
  for (const AttentionHead& head : model.generation.talker_alignment_heads) {
    if (head.layer < talker.num_hidden_layers && head.head < talker.num_attention_heads) continue;
    return fail(ErrorCode::invalid_argument,
                "generation_config.json: talker_alignment_heads names head " + std::to_string(head.head) + " of layer " +
                    std::to_string(head.layer) + ", but the talker has " + std::to_string(talker.num_hidden_layers) + " layers of " +
                    std::to_string(talker.num_attention_heads) + " heads", "talker_alignment_heads");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const Model>> load_model(const std::string& path) {
  TRY(ModelSource from, open_model_source(path));
  TRY_VOID(check_memory(path, from.weights.bytes(), memory_limit()));
  TRY_VOID(check_free_memory(path, packed_bytes(from.weights), free_memory()));
  TRY(ChatTemplate chat_template, ChatTemplate::parse(from.files.chat_template));
  LogMelConfig log_mel;
  ImageProcessorConfig image_processor;
  if (!from.text_only) {
    TRY(log_mel, parse_log_mel_config(from.files.processors));
    TRY(image_processor, parse_image_processor_config(from.files.processors));
  }
  AudioEncoder audio_encoder;
  VisionEncoder vision_encoder;
  if (!from.text_only) {
    TRY(audio_encoder, AudioEncoder::load(from.weights, from.config.thinker.audio));
    TRY(vision_encoder, VisionEncoder::load(from.weights, from.config.thinker.vision));
  }
  TRY(Thinker thinker, Thinker::load(from.weights, from.config));
  auto model = std::make_shared<Model>(Model{std::move(from.config), std::move(from.generation), std::move(from.weights),
                                             std::move(from.tokenizer), std::move(chat_template), LogMel(log_mel),
                                             ImageProcessor(image_processor), std::move(audio_encoder),
                                             std::move(vision_encoder), std::move(thinker), {}, {}, from.text_only});
  if (model->config.enable_audio_output) {
    TRY(model->talker, Talker::load(model->weights, model->config));
    TRY(model->code2wav, Code2Wav::load(model->weights, model->config.code2wav));
    TRY_VOID(check_alignment_heads(*model));
  }
  TRY_VOID(check_together(*model));
  return model;
}

}  // namespace calliope::model
