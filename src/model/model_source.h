#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "model/config.h"
#include "model/generation_config.h"
#include "model/tokenizer.h"
#include "model/weights.h"

namespace calliope::model {

/// The files beside a checkpoint's weights, as they are written there. Empty where there is none.
struct CheckpointFiles {
  std::string config;         ///< config.json
  std::string generation;     ///< generation_config.json
  std::string processors;     ///< preprocessor_config.json, or processor_config.json as newer checkpoints have it
  std::string tokenizer;      ///< tokenizer.json
  std::string chat_template;  ///< Jinja
};

/// What a model is loaded from, wherever it came from: a folder as published on the hub, a GGUF file that `calliope
/// quantize` wrote, or a GGUF file of a Qwen3 text model as llama.cpp writes it.
struct ModelSource {
  Config config;
  GenerationConfig generation;
  Tokenizer tokenizer;
  Weights weights;
  CheckpointFiles files;  ///< of a Qwen3 text model only the chat template
  bool text_only = false;
};

/// Opens a checkpoint folder or GGUF file. Errors name the file, field or tensor.
Result<ModelSource> open_model_source(const std::string& path);

/// The checkpoint of files that have been read.
Result<ModelSource> model_source_of(CheckpointFiles files, Weights weights);

/// too_large, with the numbers, when weights of `needed` bytes do not fit into `limit` bytes of memory.
Result<void> check_memory(const std::string& path, size_t needed, size_t limit);

/// The same for the part of them that is copied, of which `free` bytes can be had just now.
Result<void> check_free_memory(const std::string& path, size_t copied, size_t free);

/// Bytes that quantised layers take in the order they are read in, to which loading copies them.
size_t packed_bytes(const Weights& weights);

/// The whole of a small file. not_found (a folder too), io or too_large (over `limit` bytes).
Result<std::string> read_file(const std::string& path, size_t limit = size_t{256} << 20);

}  // namespace calliope::model
