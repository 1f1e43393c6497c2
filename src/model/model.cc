#include "model/model.h"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "model/config_reader.h"

namespace calliope::model {

namespace fs = std::filesystem;

Result<std::string> read_file(const std::string& path, size_t limit) {
  std::error_code error;
  if (!fs::exists(path, error)) return fail(ErrorCode::not_found, "there is no file " + path, path);
  if (!fs::is_regular_file(path, error)) return fail(ErrorCode::not_found, path + " is not a file", path);
  const auto size = fs::file_size(path, error);
  if (error || size > limit) return fail(ErrorCode::too_large, path + " is too large", path);
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (!file) return fail(ErrorCode::io, "cannot read " + path, path);
  return text;
}

namespace {

void read_draw(ConfigReader& reader, const std::string& prefix, DrawDefaults& draw) {
  int64_t top_k = draw.top_k;
  reader.boolean(prefix + "do_sample", draw.do_sample);
  reader.number(prefix + "temperature", draw.temperature, 0.0, 100.0);
  reader.integer(prefix + "top_k", top_k, 0, 1 << 24);
  reader.number(prefix + "top_p", draw.top_p, 0.0, 1.0);
  reader.number(prefix + "repetition_penalty", draw.repetition_penalty, 0.01, 100.0);
  draw.top_k = static_cast<int>(top_k);
}

// The processors' settings: preprocessor_config.json, or processor_config.json as newer checkpoints have it.
Result<std::string> preprocessor_text(const fs::path& root) {
  std::error_code ignored;
  for (const char* name : {"preprocessor_config.json", "processor_config.json"}) {
    if (fs::exists(root / name, ignored)) return read_file((root / name).string());
  }
  return fail(ErrorCode::not_found, root.string() + " has no preprocessor_config.json", root.string());
}

Result<void> check_together(const Model& model) {
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
  if (model.tokenizer.vocabulary_size() > model.config.thinker.text.vocab_size) {
    return fail(ErrorCode::invalid_argument, "tokenizer.json has " + std::to_string(model.tokenizer.vocabulary_size()) +
                                                 " ids, more than config.json's vocab_size");
  }
  return {};
}

}  // namespace

Result<GenerationConfig> parse_generation_config(std::string_view json) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  if (error || !value.is_object()) return fail(ErrorCode::invalid_argument, "generation_config.json is not a JSON object");
  std::string mistake, field;
  ConfigReader reader(&value.get_object(), "", mistake, field);
  GenerationConfig config;
  read_draw(reader, "", config.thinker);
  read_draw(reader, "thinker_", config.thinker);
  read_draw(reader, "talker_", config.talker);
  config.code_predictor.do_sample = config.talker.do_sample;
  read_draw(reader, "code_predictor_", config.code_predictor);
  int64_t most = config.talker_max_new_tokens;
  reader.integer("talker_max_new_tokens", most, 1, 1 << 20);
  config.talker_max_new_tokens = static_cast<int>(most);
  std::vector<int64_t> ids;
  const auto* eos = value.get_object().if_contains("eos_token_id");
  if (eos && eos->is_array()) reader.integers("eos_token_id", ids, 0, 1 << 24, 64);
  else if (eos && !eos->is_null()) reader.integer("eos_token_id", ids.emplace_back(), 0, 1 << 24);
  for (const int64_t id : ids) config.eos_token_ids.push_back(static_cast<int32_t>(id));
  if (!mistake.empty()) return fail(ErrorCode::invalid_argument, "generation_" + mistake, field);
  return config;
}

Result<void> check_chat_tokens(const Model& model) {
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

Result<std::shared_ptr<const Model>> load_model(const std::string& folder) {
  const fs::path root(folder);
  std::error_code ignored;
  if (!fs::is_directory(root, ignored)) {
    const bool file = fs::exists(root, ignored);
    return fail(ErrorCode::not_found,
                (file ? folder + " is a file, not a checkpoint folder" : "there is no checkpoint folder " + folder) +
                    ": name the folder that holds config.json and model.safetensors", folder);
  }
  TRY(const std::string config_text, read_file((root / "config.json").string()));
  TRY(Config config, parse_config(config_text));
  GenerationConfig generation;
  if (fs::exists(root / "generation_config.json", ignored)) {
    TRY(const std::string text, read_file((root / "generation_config.json").string()));
    TRY(generation, parse_generation_config(text));
  }
  if (generation.eos_token_ids.empty()) generation.eos_token_ids = {config.im_end_token_id};
  TRY(const std::string tokenizer_text, read_file((root / "tokenizer.json").string()));
  TRY(Tokenizer tokenizer, Tokenizer::parse(tokenizer_text));
  TRY(const std::string template_text, find_chat_template(folder));
  TRY(ChatTemplate chat_template, ChatTemplate::parse(template_text));
  TRY(const std::string processors, preprocessor_text(root));
  TRY(const LogMelConfig log_mel, parse_log_mel_config(processors));
  TRY(const ImageProcessorConfig image_processor, parse_image_processor_config(processors));

  TRY(Weights weights, Weights::open(folder));
  TRY(AudioEncoder audio_encoder, AudioEncoder::load(weights, config.thinker.audio));
  TRY(VisionEncoder vision_encoder, VisionEncoder::load(weights, config.thinker.vision));
  TRY(Thinker thinker, Thinker::load(weights, config));
  auto model = std::make_shared<Model>(Model{std::move(config), std::move(generation), std::move(weights), std::move(tokenizer),
                                             std::move(chat_template), LogMel(log_mel), ImageProcessor(image_processor),
                                             std::move(audio_encoder), std::move(vision_encoder), std::move(thinker), {}, {}});
  if (model->config.enable_audio_output) {
    TRY(model->talker, Talker::load(model->weights, model->config));
    TRY(model->code2wav, Code2Wav::load(model->weights, model->config.code2wav));
  }
  TRY_VOID(check_together(*model));
  return model;
}

}  // namespace calliope::model
