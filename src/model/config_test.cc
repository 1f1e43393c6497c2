// config.json, generation_config.json and preprocessor_config.json: what is wrong is named; so is a tensor that a
// checkpoint lacks or has in another shape.
#include "model/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/image_processor.h"
#include "model/log_mel.h"
#include "model/model.h"
#include "tensor/safetensors.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const fs::path kFixture = CALLIOPE_SOURCE_DIR "/tests/fixtures/dense_tied";

json::value read_json(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

// `pointer` set to `text`, or taken out when that is empty.
std::string changed(json::value document, const std::string& pointer, const std::string& text) {
  const size_t slash = pointer.rfind('/');
  auto& object = document.at_pointer(pointer.substr(0, slash)).as_object();
  if (text.empty())
    object.erase(pointer.substr(slash + 1));
  else
    object[pointer.substr(slash + 1)] = json::parse(text);
  return json::serialize(document);
}

struct Change {
  const char *pointer, *value, *field;
};

class ConfigJson : public testing::Test {
 protected:
  const json::value good_ = read_json(kFixture / "config.json");
};

TEST_F(ConfigJson, TheFixtureIsRead) {
  const auto config = parse_config(json::serialize(good_));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->thinker.text.hidden_size, 32);
  EXPECT_TRUE(config->thinker.tie_word_embeddings);
  EXPECT_EQ(config->talker.speaker_id.at("ethan"), 1073);
  EXPECT_EQ(config->code2wav.upsample_rates, (std::vector<int64_t>{3, 2}));
}

TEST_F(ConfigJson, MistakesAreNamedByTheirField) {
  const std::string text = "/thinker_config/text_config/", audio = "/thinker_config/audio_config/",
                    vision = "/thinker_config/vision_config/";
  const std::string talker = "/talker_config/", talker_text = talker + "text_config/",
                    predictor = talker + "code_predictor_config/";
  struct Case {
    std::string pointer, value, field;
  };
  const std::vector<Case> cases = {
      {"/model_type", "\"llama\"", "model_type"},
      {"/model_type", "7", "model_type"},
      {"/model_type", "", "model_type"},
      {"/thinker_config", "", "thinker_config"},
      {"/thinker_config", "[]", "thinker_config"},
      {"/talker_config", "\"x\"", "talker_config"},
      {"/code2wav_config", "1", "code2wav_config"},
      {"/enable_audio_output", "1", "enable_audio_output"},
      {"/im_end_token_id", "-1", "im_end_token_id"},
      {"/im_end_token_id", "1e30", "im_end_token_id"},
      {"/tts_pad_token_id", "330", "tts_pad_token_id"},
      {text + "hidden_size", "\"32\"", "hidden_size"},
      {text + "hidden_size", "-32", "hidden_size"},
      {text + "hidden_size", "9223372036854775807", "hidden_size"},
      {text + "hidden_size", "32.5", "hidden_size"},
      {text + "hidden_size", "[32]", "hidden_size"},
      {text + "vocab_size", "0", "vocab_size"},
      {text + "num_hidden_layers", "1000000000", "num_hidden_layers"},
      {text + "num_attention_heads", "3", "num_key_value_heads"},
      {text + "num_key_value_heads", "8", "num_key_value_heads"},
      {text + "num_key_value_heads", "0", "num_key_value_heads"},
      {text + "head_dim", "7", "head_dim"},
      {text + "hidden_act", "\"relu\"", "hidden_act"},
      {text + "rms_norm_eps", "-1", "rms_norm_eps"},
      {text + "rms_norm_eps", "\"tiny\"", "rms_norm_eps"},
      {text + "rope_theta", "0", "rope_theta"},
      {text + "rope_scaling", "{\"rope_type\":\"yarn\"}", "rope_type"},
      {text + "rope_scaling", "{\"mrope_section\":[1,2]}", "mrope_section"},
      {text + "rope_scaling", "{\"mrope_section\":[1,2,-3]}", "mrope_section"},
      {text + "num_experts", "1", "num_experts_per_tok"},
      {text + "decoder_sparse_step", "0", "decoder_sparse_step"},
      {text + "mlp_only_layers", "{}", "mlp_only_layers"},
      {text + "attention_bias", "\"no\"", "attention_bias"},
      {audio + "d_model", "25", "d_model"},
      {audio + "encoder_attention_heads", "7", "d_model"},
      {audio + "output_dim", "64", "output_dim"},
      {audio + "n_window_infer", "50", "n_window_infer"},
      {audio + "activation_function", "\"silu\"", "activation_function"},
      {vision + "num_heads", "5", "hidden_size"},
      {vision + "out_hidden_size", "31", "out_hidden_size"},
      {vision + "deepstack_visual_indexes", "[0,3]", "deepstack_visual_indexes"},
      {vision + "num_position_embeddings", "35", "num_position_embeddings"},
      {vision + "patch_size", "0", "patch_size"},
      {vision + "in_channels", "4", "in_channels"},
      {vision + "hidden_act", "\"tanh\"", "hidden_act"},
      {talker + "thinker_hidden_size", "64", "thinker_hidden_size"},
      {talker + "accept_hidden_layer", "4", "accept_hidden_layer"},
      {talker + "num_code_groups", "5", "num_code_groups"},
      {talker + "codec_bos_id", "1084", "codec_bos_id"},
      {talker + "speaker_id", "{\"ethan\":5000}", "ethan"},
      {talker + "speaker_id", "[]", "speaker_id"},
      {talker_text + "num_experts", "0", "num_experts"},
      {predictor + "hidden_size", "32", "hidden_size"},
      {predictor + "sliding_window", "2", "sliding_window"},
      {"/code2wav_config/num_quantizers", "3", "num_quantizers"},
      {"/code2wav_config/codebook_size", "55", "codebook_size"},
      {"/code2wav_config/upsample_rates", "[1024,1024,1024]", "upsample_rates"},
      {"/code2wav_config/upsample_rates", "[0]", "upsample_rates"},
      {"/code2wav_config/upsample_rates", "[2,2,2,2,2]", "decoder_dim"},
      {"/code2wav_config/sliding_window", "0", "sliding_window"},
  };
  for (const Case& one : cases) {
    const auto got = parse_config(changed(good_, one.pointer, one.value));
    ASSERT_FALSE(got) << one.pointer << " = " << one.value;
    EXPECT_NE(got.error().field.find(one.field), std::string::npos) << got.error().message << " for " << one.pointer;
    EXPECT_NE(got.error().message.find("config.json: "), std::string::npos) << got.error().message;
  }
}

TEST_F(ConfigJson, WhatIsNoObjectIsSaid) {
  for (const char* text : {"", "[", "[]", "null", "{\"a\":}", "\xFF", "{\"model_type\":\"qwen3_omni_moe\"}"})
    EXPECT_FALSE(parse_config(text)) << text;
  EXPECT_FALSE(parse_config(std::string(100'000, '[')));
  // Fields that no one knows are no mistake; null is as good as absent.
  EXPECT_TRUE(parse_config(changed(good_, "/something_new", "{\"deep\":[1,2,{}]}")));
  EXPECT_TRUE(parse_config(changed(good_, "/thinker_config/text_config/rope_scaling", "null")));
  EXPECT_TRUE(parse_config(changed(good_, "/enable_audio_output", "false")));
}

TEST(GenerationJson, DefaultsAndMistakes) {
  const auto empty = parse_generation_config("{}");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->talker.do_sample);
  const auto config = parse_generation_config(
      R"({"eos_token_id":[5,6],"temperature":0.5,"talker_top_k":3,"thinker_top_p":0.25,"talker_max_new_tokens":10,"other":{},
          "talker_alignment_heads":[[1,0],[2,3]],"talker_lead_frames":6,"transcription_prompt":"Write.","transcription_seconds":8})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eos_token_ids, (std::vector<int32_t>{5, 6}));
  EXPECT_FLOAT_EQ(config->thinker.temperature, 0.5f);
  EXPECT_FLOAT_EQ(config->thinker.top_p, 0.25f);
  EXPECT_EQ(config->talker.top_k, 3);
  EXPECT_EQ(config->transcription_prompt, "Write.");
  EXPECT_EQ(config->transcription_seconds, 8);
  EXPECT_EQ(config->talker_alignment_heads, (std::vector<AttentionHead>{{1, 0}, {2, 3}}));
  EXPECT_EQ(config->talker_lead_frames, 6);
  EXPECT_EQ(empty->talker_lead_frames, 0);
  EXPECT_EQ(parse_generation_config("{\"eos_token_id\":7}")->eos_token_ids, std::vector<int32_t>{7});
  for (const auto& [text, field] : {std::pair<const char*, const char*>{"{\"temperature\":\"hot\"}", "temperature"},
                                    {"{\"temperature\":-1}", "temperature"},
                                    {"{\"talker_top_p\":1.5}", "talker_top_p"},
                                    {"{\"top_k\":-1}", "top_k"},
                                    {"{\"top_k\":1e99}", "top_k"},
                                    {"{\"do_sample\":1}", "do_sample"},
                                    {"{\"repetition_penalty\":0}", "repetition_penalty"},
                                    {"{\"talker_max_new_tokens\":0}", "talker_max_new_tokens"},
                                    {"{\"transcription_prompt\":7}", "transcription_prompt"},
                                    {"{\"transcription_seconds\":0}", "transcription_seconds"},
                                    {"{\"talker_alignment_heads\":[[1]]}", "talker_alignment_heads"},
                                    {"{\"talker_lead_frames\":-1}", "talker_lead_frames"},
                                    {"{\"talker_lead_frames\":1000}", "talker_lead_frames"},
                                    {"{\"talker_alignment_heads\":[[1,-2]]}", "talker_alignment_heads"},
                                    {"{\"talker_alignment_heads\":[1,2]}", "talker_alignment_heads"},
                                    {"{\"eos_token_id\":[1,\"2\"]}", "eos_token_id"},
                                    {"{\"eos_token_id\":-3}", "eos_token_id"}}) {
    const auto got = parse_generation_config(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().field, field);
    EXPECT_TRUE(got.error().message.starts_with("generation_config.json: ")) << got.error().message;
  }
  for (const char* text : {"", "[]", "{", "7"}) EXPECT_FALSE(parse_generation_config(text));
}

TEST(PreprocessorJson, FlatAndNestedAndMistakes) {
  const std::string flat = json::serialize(read_json(kFixture / "preprocessor_config.json"));
  const std::string nested = "{\"image_processor\":" + flat + ",\"feature_extractor\":" + flat + "}";
  for (const std::string& text : {flat, nested}) {
    const auto image = parse_image_processor_config(text);
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->patch_size, 8);
    EXPECT_EQ(image->min_pixels, 1024);
    EXPECT_EQ(parse_log_mel_config(text)->mels, 80);
  }
  for (const auto& [pointer, value, field] : {Change{"/patch_size", "0", "patch_size"},
                                              {"/patch_size", "\"8\"", "patch_size"},
                                              {"/merge_size", "17", "merge_size"},
                                              {"/min_pixels", "20000", "min_pixels"},
                                              {"/image_std", "[0.5,0,0.5]", "image_std"},
                                              {"/image_std", "[0.5]", "image_std"},
                                              {"/image_mean", "[1,2,\"x\"]", "image_mean"},
                                              {"/rescale_factor", "[]", "rescale_factor"},
                                              {"/do_resize", "3", "do_resize"},
                                              {"/resample", "9", "resample"}}) {
    const auto got = parse_image_processor_config(changed(json::parse(flat), pointer, value));
    ASSERT_FALSE(got) << pointer << " = " << value;
    EXPECT_EQ(got.error().field, field) << got.error().message;
  }
  for (const auto& [pointer, value, field] : {Change{"/feature_size", "0", "feature_size"},
                                              {"/n_fft", "401", "n_fft"},
                                              {"/n_fft", "1e9", "n_fft"},
                                              {"/hop_length", "0", "hop_length"},
                                              {"/dither", "0.1", "dither"},
                                              {"/sound_peak", "1.5", "sound_peak"},
                                              {"/sound_margin_ms", "-1", "sound_margin_ms"},
                                              {"/sampling_rate", "{}", "sampling_rate"}}) {
    const auto got = parse_log_mel_config(changed(json::parse(flat), pointer, value));
    ASSERT_FALSE(got) << pointer << " = " << value;
    EXPECT_EQ(got.error().field, field) << got.error().message;
  }
  for (const char* text : {"", "[]", "{", "\"x\""}) EXPECT_FALSE(parse_image_processor_config(text));
}

// A copy of the fixture that a test may break.
class Checkpoint : public testing::Test {
 protected:
  Checkpoint() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* name : {"config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json",
                             "chat_template.jinja", "model.safetensors"}) {
      fs::copy_file(kFixture / name, folder_ / name);
    }
  }
  ~Checkpoint() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary | std::ios::trunc) << text;
  }
  void expect_error(const std::string& in_message) const {
    const auto model = load_model(folder_.string());
    ASSERT_FALSE(model) << "expected: " << in_message;
    EXPECT_NE(model.error().message.find(in_message), std::string::npos) << model.error().message;
  }
  void change_config(const std::string& pointer, const std::string& value) const {
    write("config.json", changed(read_json(kFixture / "config.json"), pointer, value));
  }

  const fs::path folder_ = fs::temp_directory_path() / ("calliope-checkpoint-" + std::to_string(::getpid()));
};

TEST_F(Checkpoint, AsItIsItLoads) {
  const auto model = load_model(folder_.string());
  EXPECT_TRUE(model) << model.error().message;
}

TEST_F(Checkpoint, AConfigThatContradictsTheWeightsNamesTheTensor) {
  for (const auto& [pointer, value, tensor] :
       {Change{"/thinker_config/text_config/vocab_size", "331",
               "thinker.model.embed_tokens.weight has shape [330, 32]"},
        {"/thinker_config/text_config/intermediate_size", "47",
         "thinker.model.layers.0.mlp.gate_proj.weight has shape [48, 32]"},
        {"/thinker_config/text_config/num_hidden_layers", "4", "no tensor thinker.model.layers.3."},
        {"/thinker_config/text_config/head_dim", "16", "thinker.model.layers.0.self_attn.q_proj.weight"},
        {"/thinker_config/text_config/attention_bias", "true",
         "no tensor thinker.model.layers.0.self_attn.q_proj.bias"},
        {"/thinker_config/text_config/num_experts", "4", "no tensor thinker.model.layers.0.mlp.gate.weight"},
        {"/thinker_config/audio_config/num_hidden_layers", "1000", "no tensor thinker.audio_tower.layers.2."},
        {"/thinker_config/audio_config/encoder_ffn_dim", "41", "thinker.audio_tower.layers.0.fc1.weight"},
        {"/thinker_config/vision_config/depth", "4", "no tensor thinker.visual.blocks.3."},
        {"/thinker_config/vision_config/num_position_embeddings", "49",
         "thinker.visual.pos_embed.weight has shape [36, 24]"},
        {"/talker_config/text_config/num_experts", "5", "talker.model.layers.0.mlp.gate.weight has shape [4, 24]"},
        {"/talker_config/text_config/vocab_size", "1085", "talker."},
        {"/code2wav_config/decoder_dim", "32", "code2wav.decoder.0.conv"},
        {"/code2wav_config/codebook_size", "65", "code2wav.code_embedding.weight has shape"}}) {
    change_config(pointer, value);
    expect_error(tensor);
  }
}

TEST_F(Checkpoint, FilesThatContradictEachOtherAreNamed) {
  change_config("/thinker_config/text_config/vocab_size", "200");
  expect_error("");  // the tokenizer or the first tensor, whichever is looked at first
  fs::copy_file(kFixture / "config.json", folder_ / "config.json", fs::copy_options::overwrite_existing);
  const json::value processor = read_json(kFixture / "preprocessor_config.json");
  write("preprocessor_config.json", changed(processor, "/patch_size", "16"));
  expect_error("patch_size");
  write("preprocessor_config.json", changed(processor, "/feature_size", "128"));
  expect_error("feature_size");
}

TEST_F(Checkpoint, BrokenAndMissingFilesAreNamed) {
  for (const char* name : {"config.json", "preprocessor_config.json", "tokenizer.json", "chat_template.jinja"}) {
    const fs::path path = folder_ / name;
    write(name, "{% broken \xFF");
    const auto broken = load_model(folder_.string());
    ASSERT_FALSE(broken) << name;
    EXPECT_FALSE(broken.error().message.empty());
    fs::remove(path);
    const auto missing = load_model(folder_.string());
    ASSERT_FALSE(missing) << name;
    EXPECT_EQ(missing.error().code, ErrorCode::not_found) << missing.error().message;
    fs::copy_file(kFixture / name, path);
  }
  fs::resize_file(folder_ / "model.safetensors", fs::file_size(folder_ / "model.safetensors") - 1);
  expect_error("model.safetensors");
  fs::remove(folder_ / "model.safetensors");
  expect_error("has neither model.safetensors nor model.safetensors.index.json");
  EXPECT_EQ(load_model((folder_ / "nowhere").string()).error().code, ErrorCode::not_found);
}

TEST_F(Checkpoint, ShardsTogetherAreTheModel) {
  const auto whole = tensor::SafetensorsFile::open((kFixture / "model.safetensors").string());
  ASSERT_TRUE(whole);
  std::map<std::string, tensor::View> parts[3];
  json::object map;
  size_t count = 0;
  for (const auto& [name, view] : whole->tensors()) {
    parts[count % 3].emplace(name, view);
    map[name] = "shard-" + std::to_string(count++ % 3) + ".safetensors";
  }
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        tensor::save_safetensors((folder_ / ("shard-" + std::to_string(i) + ".safetensors")).string(), parts[i]));
  }
  fs::remove(folder_ / "model.safetensors");
  const auto index = [&](const json::object& weight_map) {
    write("model.safetensors.index.json", json::serialize(json::object{{"weight_map", weight_map}}));
  };
  index(map);
  const auto model = load_model(folder_.string());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->weights.names().size(), whole->tensors().size());

  parts[1].insert(*parts[0].begin());
  ASSERT_TRUE(tensor::save_safetensors((folder_ / "shard-1.safetensors").string(), parts[1]));
  expect_error("tensor " + parts[0].begin()->first + " stands in two shards");
  parts[1].erase(parts[0].begin()->first);
  ASSERT_TRUE(tensor::save_safetensors((folder_ / "shard-1.safetensors").string(), parts[1]));
  map["x"] = "shard-3.safetensors";
  index(map);
  expect_error("shard-3.safetensors");
  for (const char* outside : {"../shard-0.safetensors", "/etc/passwd", "", "sub/shard-0.safetensors"}) {
    map["x"] = outside;
    index(map);
    expect_error("weight_map names a shard that is not a file name");
  }
  write("model.safetensors.index.json", "{\"weight_map\":[]}");
  expect_error("has no weight_map object");
}

}  // namespace
}  // namespace calliope::model
