#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace calliope::tensor {

/// One metadata value to write.
using GgufField = std::variant<bool, uint32_t, int32_t, uint64_t, int64_t, float, double, std::string, std::vector<int32_t>,
                               std::vector<int64_t>, std::vector<float>, std::vector<std::string>>;
using GgufFields = std::vector<std::pair<std::string, GgufField>>;

/// One tensor to write: of a type GGUF has, of one to four axes.
struct GgufTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

/// Writes a GGUF file of version 3, tensor after tensor, so that no more than a piece need be in memory. The file takes
/// its name when it is finished; before that it has ".tmp" behind it, and vanishes when the writer does.
class GgufWriter {
 public:
  /// Writes everything before the tensors' data. Errors: io.
  static Result<GgufWriter> create(const std::string& path, const GgufFields& metadata, std::vector<GgufTensor> tensors);

  /// The next bytes of the tensors' data, in the order of create(); pieces of any size that do not cross into the next
  /// tensor. Errors: io.
  Result<void> write(std::span<const std::byte> bytes);

  /// All tensors have been written. Errors: io.
  Result<void> finish();

 private:
  struct Close {
    std::string temporary;
    void operator()(std::FILE* file) const;
  };
  Result<void> put(const void* data, size_t size);
  Result<void> next_tensor();

  std::unique_ptr<std::FILE, Close> file_;
  std::string path_;
  std::vector<GgufTensor> tensors_;
  size_t current_ = 0;     // the tensor being written
  size_t remaining_ = 0;   // bytes it still needs
};

}  // namespace calliope::tensor
