#include "model/gguf_source.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>

#include "model/qwen3_gguf.h"
#include "tensor/gguf.h"

namespace calliope::model {
namespace {

using tensor::GgufFile;
using tensor::Shape;
using tensor::View;

// The view under the shape it had in the checkpoint.
Result<View> with_shape(const View& view, const std::vector<int64_t>& dims, const std::string& name) {
  int64_t elements = 1;
  bool fits = dims.size() <= size_t{Shape::kMaxRank} && !tensor::is_quantized(view.dtype);
  for (const int64_t dim : dims) fits = fits && dim > 0 && !__builtin_mul_overflow(elements, dim, &elements);
  if (fits && elements == view.shape.elements()) return view.reshaped(Shape(dims));
  return fail(ErrorCode::invalid_argument,
              kGgufShape + name + " is no shape of tensor " + name + ", which has " + view.shape.text(), name);
}

Result<ModelSource> omni_source(const std::shared_ptr<const GgufFile>& file, const std::string& path) {
  const auto* version = file->find(kGgufVersion);
  if (!version || version->integer() != kGgufVersionNow) {
    return fail(ErrorCode::unsupported,
                path + " was written by another version of calliope quantize; write it again from the checkpoint folder", path);
  }
  CheckpointFiles files;
  for (const auto& [key, text, needed] : kGgufFileKeys) {
    const auto* value = file->find(key);
    const auto found = value ? value->text() : std::nullopt;
    if (found) files.*text = *found;
    if (needed && !found) return fail(ErrorCode::invalid_argument, path + " has no metadata string " + key, key);
  }
  auto tensors = file->tensors();
  for (const auto& [key, value] : file->metadata()) {
    if (!key.starts_with(kGgufShape)) continue;
    const std::string name = key.substr(sizeof kGgufShape - 1);
    const auto found = tensors.find(name);
    const auto dims = value.integers();
    if (found == tensors.end() || !dims) {
      return fail(ErrorCode::invalid_argument, path + ": " + key + " is no shape of one of its tensors", key);
    }
    TRY(found->second, with_shape(found->second, *dims, name));
  }
  Weights weights = Weights::of(std::move(tensors), file->left_out(), file, {}, {file->mapping()});
  if (const auto* convolutions = file->find(kGgufConvolutions)) {
    if (convolutions->text() != "bf16") {
      return fail(ErrorCode::unsupported, path + ": " + kGgufConvolutions + " is not \"bf16\"; write the file again with calliope quantize",
                  kGgufConvolutions);
    }
    weights.set_bf16_convolutions(true);
  }
  return model_source_of(std::move(files), std::move(weights));
}

}  // namespace

bool begins_as_gguf(const std::string& path) {
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::equal(magic, magic + 4, "GGUF");
}

Result<ModelSource> open_gguf(const std::string& path) {
  TRY(GgufFile opened, GgufFile::open(path));
  return gguf_source(std::make_shared<const GgufFile>(std::move(opened)), path);
}

Result<ModelSource> gguf_source(const std::shared_ptr<const GgufFile>& file, const std::string& path) {
  const auto text = [&](const char* key) {
    const auto* value = file->find(key);
    return std::string(value ? value->text().value_or("") : "");
  };
  if (const auto* parts = file->find("split.count"); parts && parts->integer().value_or(0) > 1) {
    return fail(ErrorCode::unsupported,
                path + " is one of several parts of a model; merge them first (llama-gguf-split --merge)", path);
  }
  const std::string architecture = text("general.architecture");
  if (architecture == kGgufArchitecture) return omni_source(file, path);
  if (architecture == "qwen3" || architecture == "qwen3moe") return qwen3_source(file, path);
  return fail(ErrorCode::unsupported,
              path + " holds a model of the architecture \"" + architecture + "\"; read are files that calliope quantize "
              "wrote, and the text models qwen3 and qwen3moe", path);
}

}  // namespace calliope::model
