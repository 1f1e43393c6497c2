#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/model_source.h"

namespace calliope::tensor {
class GgufFile;
}

namespace calliope::model {

/// A Qwen3 text model, dense or mixture of experts, as llama.cpp's converter writes it (architectures qwen3 and
/// qwen3moe), as a thinker without ears and eyes. Errors name the metadata or the tensor, as the file calls it.
Result<ModelSource> qwen3_source(const std::shared_ptr<const tensor::GgufFile>& file, const std::string& path);

}  // namespace calliope::model
