#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/prompt.h"
#include "model/model.h"
#include "tensor/safetensors.h"

namespace calliope::engine {

/// The prompt that the reference's processor made, from its tensors: input_ids [1, T] or [T], and where there are media
/// pixel_values [patches, C], image_grid_thw [pictures, 3], input_features [clips, mels, frames] and
/// feature_attention_mask [clips, frames]. Errors name the tensor.
Result<Prompt> prompt_from_tensors(const model::Model& model, const tensor::SafetensorsFile& inputs);

struct TraceRequest {
  int max_tokens = 0;  ///< greedy tokens to generate after the prompt; fewer when the model ends its answer
  bool speak = false;  ///< codes and waveform of the answer as well
  std::string voice = {};
};

/// Every intermediate tensor of one prompt under the names that docs/parity.md lists.
struct Trace {
  struct Integers {
    tensor::Shape shape;
    std::vector<int64_t> values;
  };
  std::map<std::string, tensor::Tensor> floats;
  std::map<std::string, Integers> integers;

  /// All of them, valid as long as the trace is.
  std::map<std::string, tensor::View> views() const;
};

/// Runs a prompt greedily and keeps everything on the way. unsupported when it shall speak and the model cannot.
Result<Trace> trace(const model::Model& model, Prompt prompt, const TraceRequest& request);

}  // namespace calliope::engine
