#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/model_source.h"

namespace calliope::tensor {
class GgufFile;
}

namespace calliope::model {

/// How the GGUF files of `calliope quantize` are marked: general.architecture, and the files beside the weights as
/// metadata strings. A tensor of more than four axes, or none, is stored with one; its shape is then the metadata
/// kGgufShape + name.
inline constexpr char kGgufArchitecture[] = "calliope-omni";
inline constexpr char kGgufVersion[] = "calliope.version";
inline constexpr int kGgufVersionNow = 1;
inline constexpr char kGgufShape[] = "calliope.shape.";
/// "bf16" in a quantised file: the vocoder's convolutions multiply bf16. Elsewhere they are f32, whatever they are stored in.
inline constexpr char kGgufConvolutions[] = "calliope.convolutions";
struct GgufFileKey {
  const char* key;
  std::string CheckpointFiles::* text;
  bool needed;
};
inline constexpr GgufFileKey kGgufFileKeys[] = {{"calliope.config_json", &CheckpointFiles::config, true},
                                                {"calliope.generation_config_json", &CheckpointFiles::generation, false},
                                                {"calliope.preprocessor_config_json", &CheckpointFiles::processors, true},
                                                {"calliope.tokenizer_json", &CheckpointFiles::tokenizer, true},
                                                {"tokenizer.chat_template", &CheckpointFiles::chat_template, true}};

/// Whether there is a file of that name that begins with GGUF.
bool begins_as_gguf(const std::string& path);

/// Opens a GGUF file of ours, or of a Qwen3 text model. unsupported, with its name, for another architecture.
Result<ModelSource> open_gguf(const std::string& path);
/// The same of a file that has been read; `path` names it in errors.
Result<ModelSource> gguf_source(const std::shared_ptr<const tensor::GgufFile>& file, const std::string& path);

}  // namespace calliope::model
