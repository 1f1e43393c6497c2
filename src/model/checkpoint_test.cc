#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "model/model.h"
#include "tensor/safetensors.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A copy of a small checkpoint of one weight file, to be damaged.
class CheckpointCopy {
 public:
  CheckpointCopy() {
    fs::remove_all(path_);
    fs::copy(CALLIOPE_SOURCE_DIR "/tests/fixtures/dense_tied", path_);
  }
  ~CheckpointCopy() { fs::remove_all(path_); }

  fs::path file(const std::string& name) const { return path_ / name; }
  std::string text(const std::string& name) const { return *read_file(file(name).string()); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name), std::ios::binary) << text;
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string all = text(name);
    const size_t at = all.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write(name, all.replace(at, from.size(), to));
  }
  /// Writes the weights again with the change made to them.
  void change(const std::function<void(std::map<std::string, tensor::View>&)>& change) const {
    const auto weights = tensor::SafetensorsFile::open(file("model.safetensors").string());
    std::map<std::string, tensor::View> tensors(weights->tensors().begin(), weights->tensors().end());
    change(tensors);
    ASSERT_TRUE(tensor::save_safetensors(file("model.safetensors").string(), tensors));
  }
  std::string error() const {
    const auto model = load_model(path_.string());
    return model ? "it loads" : model.error().message;
  }
  Result<std::shared_ptr<const Model>> load() const { return load_model(path_.string()); }

 private:
  fs::path path_ = fs::temp_directory_path() / ("calliope-checkpoint-" + std::to_string(::getpid()));
};

constexpr const char* kNorm = "thinker.model.layers.0.input_layernorm.weight";

TEST(CheckpointFolder, LoadsAsItIs) { EXPECT_EQ(CheckpointCopy().error(), "it loads"); }

TEST(CheckpointFolder, MissingFilesAreNamed) {
  for (const char* name :
       {"config.json", "tokenizer.json", "model.safetensors", "preprocessor_config.json", "chat_template.jinja"}) {
    const CheckpointCopy checkpoint;
    fs::remove(checkpoint.file(name));
    const std::string wanted = name == std::string("chat_template.jinja") ? "chat template" : name;
    EXPECT_THAT(checkpoint.error(), HasSubstr(wanted));
    fs::create_directory(checkpoint.file(name));
    EXPECT_THAT(checkpoint.error(), HasSubstr(name)) << "a folder of this name";
  }
}

TEST(CheckpointFolder, WrongTensorsAreNamed) {
  const CheckpointCopy checkpoint;
  const std::string norm(kNorm);
  checkpoint.change([&](auto& tensors) { tensors[norm].dtype = tensor::DType::i32; });
  EXPECT_THAT(checkpoint.error(), HasSubstr(norm + " is I32; F32, F16 and BF16 are read"));
  checkpoint.change([&](auto& tensors) { tensors.erase(norm); });
  EXPECT_THAT(checkpoint.error(), HasSubstr("no tensor " + norm));
}

TEST(CheckpointFolder, ATypeThatIsNotReadIsNamed) {
  const CheckpointCopy checkpoint;
  checkpoint.change([&](auto& tensors) { tensors[kNorm].dtype = tensor::DType::i32; });
  checkpoint.replace("model.safetensors", "\"I32\"", "\"U32\"");  // as long as the other, and no type we know
  EXPECT_THAT(checkpoint.error(), HasSubstr(std::string(kNorm) + " is U32"));
}

TEST(CheckpointFolder, MoreLayersThanTheConfigSaysAreRefused) {
  for (const auto& [name, field] : {std::pair("thinker.model.layers.77.input_layernorm.weight", "num_hidden_layers"),
                                    std::pair("thinker.visual.blocks.77.norm1.weight", "depth"),
                                    std::pair("thinker.audio_tower.layers.77.fc1.weight", "encoder_layers")}) {
    const CheckpointCopy checkpoint;
    const auto config = checkpoint.load();
    ASSERT_TRUE(config);
    const auto& thinker = (*config)->config.thinker;
    const int64_t layers = field == std::string("depth")            ? thinker.vision.depth
                           : field == std::string("encoder_layers") ? thinker.audio.encoder_layers
                                                                    : thinker.text.num_hidden_layers;
    std::string next = name;
    next.replace(next.find("77"), 2, std::to_string(layers));
    checkpoint.change([&](auto& tensors) { tensors[next] = tensors.at(kNorm); });
    EXPECT_THAT(checkpoint.error(), HasSubstr(next));
    EXPECT_THAT(checkpoint.error(), HasSubstr(field));
  }
}

TEST(CheckpointFolder, ShardsStayInTheFolder) {
  for (const char* shard : {"../x.safetensors", "/etc/passwd", "..", ".", ""}) {
    const CheckpointCopy checkpoint;
    checkpoint.write("model.safetensors.index.json", std::string(R"({"weight_map":{"a":")") + shard + "\"}}");
    EXPECT_THAT(checkpoint.error(), HasSubstr("not a file name")) << shard;
  }
  const CheckpointCopy checkpoint;
  checkpoint.write("model.safetensors.index.json", R"({"weight_map":{"a":"model-2.safetensors"}})");
  EXPECT_THAT(checkpoint.error(), HasSubstr("model-2.safetensors, which model.safetensors.index.json names"));
}

TEST(CheckpointFolder, TokenizerAndConfigMustBelongTogether) {
  const CheckpointCopy checkpoint;
  const auto good = checkpoint.load();
  ASSERT_TRUE(good);
  EXPECT_TRUE(check_chat_tokens(**good));
  checkpoint.replace("tokenizer.json", "<|im_start|>", "<|im_stort|>");
  checkpoint.replace("config.json", "\"im_start_token_id\"", "\"im_start_token_id\": 1, \"was\"");
  const auto other = checkpoint.load();
  ASSERT_TRUE(other) << other.error().message;
  const auto checked = check_chat_tokens(**other);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("im_start_token_id 1 is no special token"));
}

TEST(CheckpointFolder, EndOfAnswerMustBeANumber) {
  EXPECT_FALSE(parse_generation_config(R"({"eos_token_id":"x"})"));
  EXPECT_TRUE(parse_generation_config(R"({"eos_token_id":null})"));
  EXPECT_TRUE(parse_generation_config(R"({"eos_token_id":[3,4]})"));
  EXPECT_TRUE(parse_generation_config(R"({"eos_token_id":3})"));
}

}  // namespace
}  // namespace calliope::model
