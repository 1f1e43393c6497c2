#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace calliope::tensor {
class SafetensorsFile;
}

namespace calliope::model {

/// The tensors of a checkpoint folder, memory-mapped: model.safetensors, or the shards model.safetensors.index.json names.
/// Views stay valid as long as a copy of the Weights lives.
class Weights {
 public:
  /// not_found, io, or invalid_argument with the file's name.
  static Result<Weights> open(const std::string& folder);

  /// The tensor of that name, which must be F32, F16 or BF16 and have that shape. not_found or invalid_argument.
  Result<tensor::View> take(std::string_view name, const tensor::Shape& shape) const;

  /// The tensor of that name, or null.
  tensor::View find(std::string_view name) const;

  /// All names, sorted.
  std::vector<std::string> names() const;

  /// Bytes of all tensors.
  size_t bytes() const;

 private:
  std::vector<std::shared_ptr<const tensor::SafetensorsFile>> files_;
  std::map<std::string, tensor::View, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> left_out_;  // of types that are not read
};

}  // namespace calliope::model
