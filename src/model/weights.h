#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/mapped_file.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// How messages speak of tensors that have another name in their file.
struct WeightWording {
  std::string (*name_in_file)(std::string_view) = nullptr;
  std::string described_by = "config.json";
};

/// The tensors of a checkpoint, memory-mapped. Views stay valid as long as a copy of the Weights lives.
class Weights {
 public:
  /// Of a checkpoint folder: model.safetensors, or the shards model.safetensors.index.json names. not_found, io, or
  /// invalid_argument with the file's name.
  static Result<Weights> open(const std::string& folder);

  using Map = std::map<std::string, tensor::View, std::less<>>;
  /// Of tensors read elsewhere, whose memory `owner` keeps, some in `files`; left_out holds the types of those that are
  /// not read.
  static Weights of(Map tensors, std::map<std::string, std::string, std::less<>> left_out, std::shared_ptr<const void> owner,
                    WeightWording wording = {}, std::vector<tensor::MappedFile> files = {});

  /// The tensor of that name, which must be of an is_float type and have that shape. not_found, unsupported or invalid_argument.
  Result<tensor::View> take(std::string_view name, const tensor::Shape& shape) const;

  /// The tensor of that name, or null.
  tensor::View find(std::string_view name) const;

  /// Whether convolutions stored in BF16 are meant to be multiplied in bf16 (kGgufConvolutions), which is faster.
  bool bf16_convolutions() const { return bf16_convolutions_; }
  void set_bf16_convolutions(bool on) { bf16_convolutions_ = on; }

  /// The view has been copied: where it lies in a file, it leaves memory until it is read again.
  void release(const tensor::View& view) const;

  /// All names, sorted.
  std::vector<std::string> names() const;

  /// Bytes of all tensors.
  size_t bytes() const;

 private:
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<tensor::MappedFile> files_;
  Map tensors_;
  std::map<std::string, std::string, std::less<>> left_out_;  // of types that are not read
  WeightWording wording_;
  bool bf16_convolutions_ = false;
};

}  // namespace calliope::model
