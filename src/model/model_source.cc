#include "model/model_source.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "kernels/packed_linear.h"
#include "model/chat_template.h"
#include "model/gguf_source.h"

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

// The processors' settings: preprocessor_config.json, or processor_config.json as newer checkpoints have it.
Result<std::string> preprocessor_text(const fs::path& root) {
  std::error_code ignored;
  for (const char* name : {"preprocessor_config.json", "processor_config.json"}) {
    if (fs::exists(root / name, ignored)) return read_file((root / name).string());
  }
  return fail(ErrorCode::not_found, root.string() + " has no preprocessor_config.json", root.string());
}

Result<ModelSource> open_folder(const std::string& folder) {
  const fs::path root(folder);
  std::error_code ignored;
  CheckpointFiles files;
  TRY(files.config, read_file((root / "config.json").string()));
  if (fs::exists(root / "generation_config.json", ignored)) {
    TRY(files.generation, read_file((root / "generation_config.json").string()));
  }
  TRY(files.tokenizer, read_file((root / "tokenizer.json").string()));
  TRY(files.chat_template, find_chat_template(folder));
  TRY(files.processors, preprocessor_text(root));
  TRY(Weights weights, Weights::open(folder));
  return model_source_of(std::move(files), std::move(weights));
}

}  // namespace

Result<ModelSource> model_source_of(CheckpointFiles files, Weights weights) {
  ModelSource source;
  TRY(source.config, parse_config(files.config));
  if (!files.generation.empty()) {
    TRY(source.generation, parse_generation_config(files.generation));
  }
  if (source.generation.eos_token_ids.empty()) source.generation.eos_token_ids = {source.config.im_end_token_id};
  TRY(source.tokenizer, Tokenizer::parse(files.tokenizer));
  source.files = std::move(files);
  source.weights = std::move(weights);
  return source;
}

namespace {

std::string mib(size_t bytes) { return std::to_string((bytes + (size_t{1} << 20) - 1) >> 20) + " MiB"; }

// What a tensor of a linear layer takes once more; 0 for what is read where it lies.
size_t packed_bytes_of(const Weights& weights, const std::string& name) {
  const tensor::View view = weights.find(name);
  const bool head = name == "thinker.model.embed_tokens.weight" && !weights.find("thinker.lm_head.weight");
  if (view.shape.rank() < 2 || !kernels::PackedLinear::packs(view.dtype)) return 0;
  if (name.find("embed") != std::string::npos && !head) return 0;
  const int64_t in = view.shape[-1], all = view.shape.elements() / in, matrices = view.shape.rank() == 3 ? view.shape[0] : 1;
  return static_cast<size_t>(matrices) * kernels::PackedLinear::bytes_for(view.dtype, all / matrices, in);
}

}  // namespace

size_t packed_bytes(const Weights& weights) {
  size_t bytes = 0;
  for (const std::string& name : weights.names()) bytes += packed_bytes_of(weights, name);
  return bytes;
}

Result<void> check_free_memory(const std::string& path, size_t copied, size_t free) {
  if (copied <= free) return {};
  return fail(ErrorCode::too_large,
              "the weights of " + path + " take " + mib(copied) + " of memory in the order they are read in, but only " + mib(free) +
                  " are free: stop other programs, take a smaller model, or a larger machine", path);
}

Result<void> check_memory(const std::string& path, size_t needed, size_t limit) {
  if (needed <= limit) return {};
  return fail(ErrorCode::too_large,
              "the weights of " + path + " take " + mib(needed) + ", but this program may use " + mib(limit) +
                  " of memory: quantise them (calliope quantize --type q4_0), take a smaller model, or a larger machine", path);
}

Result<ModelSource> open_model_source(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return open_folder(path);
  if (!fs::exists(path, ignored)) {
    return fail(ErrorCode::not_found,
                "there is no checkpoint folder " + path +
                    ": name the folder that holds config.json and model.safetensors, or a GGUF file", path);
  }
  if (begins_as_gguf(path)) return open_gguf(path);
  return fail(ErrorCode::not_found,
              path + " is a file, not a checkpoint folder, and no GGUF file: name the folder that holds config.json and "
                     "model.safetensors, or a file that calliope quantize wrote", path);
}

}  // namespace calliope::model
