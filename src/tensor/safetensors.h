#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tensor/mapped_file.h"
#include "tensor/tensor.h"

namespace calliope::tensor {

/// A memory-mapped .safetensors file. Every offset is checked when it is opened; nothing is copied.
class SafetensorsFile {
 public:
  /// not_found or io when the file cannot be mapped; invalid_argument, with what is wrong, for anything that is not a
  /// well-formed safetensors file: truncated, overlapping or overflowing offsets, gaps, sizes that contradict the
  /// shape, names given twice, data that is not aligned to its elements.
  static Result<SafetensorsFile> open(const std::string& path);

  /// The same from bytes in memory, which must outlive the result and be aligned to 8.
  static Result<SafetensorsFile> parse(std::span<const std::byte> bytes, std::string_view name);

  /// Name -> tensor. Types this program does not know are left out.
  const std::map<std::string, View, std::less<>>& tensors() const { return tensors_; }
  /// Name -> type, of what tensors() leaves out.
  const std::map<std::string, std::string, std::less<>>& left_out() const { return left_out_; }
  /// The file they lie in; empty when parsed from bytes in memory.
  const MappedFile& mapping() const { return mapping_; }
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }

 private:
  MappedFile mapping_;
  std::map<std::string, View, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> left_out_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

/// Writes tensors to a .safetensors file, replacing it at once. Errors: io.
Result<void> save_safetensors(const std::string& path, const std::map<std::string, View>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace calliope::tensor
