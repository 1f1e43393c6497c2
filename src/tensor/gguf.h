#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/mapped_file.h"
#include "tensor/tensor.h"

namespace calliope::tensor {

/// The format's numbers for the types of metadata values.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

/// One metadata value, still in the file. The getters give none when it is of another kind.
class GgufValue {
 public:
  /// `data` holds what follows the type in the file, checked.
  GgufValue(GgufType type, std::span<const std::byte> data) : type_(type), data_(data) {}

  std::optional<int64_t> integer() const;  ///< any integer type; none when it does not fit
  std::optional<double> number() const;    ///< any number
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  std::optional<std::vector<std::string_view>> texts() const;  ///< an array of strings
  std::optional<std::vector<int64_t>> integers() const;        ///< an array of integers that fit
  std::optional<std::vector<double>> numbers() const;          ///< an array of numbers

 private:
  template <class T, class One>
  std::optional<std::vector<T>> elements(One one) const;

  GgufType type_;
  std::span<const std::byte> data_;
};

/// A memory-mapped GGUF file, version 2 or 3, little-endian. Every length and offset is checked when it is opened;
/// nothing is copied but names.
class GgufFile {
 public:
  /// not_found or io when the file cannot be mapped; invalid_argument, with what is wrong, for anything that is not a
  /// well-formed GGUF file; unsupported for version 1 and big-endian files.
  static Result<GgufFile> open(const std::string& path);

  /// The same from bytes in memory, which must outlive the result and be aligned to 8.
  static Result<GgufFile> parse(std::span<const std::byte> bytes, std::string_view name);

  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  /// The value of that key, or null.
  const GgufValue* find(std::string_view key) const;

  /// Name -> tensor, its shape outermost axis first. Types this program does not know are left out.
  const std::map<std::string, View, std::less<>>& tensors() const { return tensors_; }
  /// Name -> type, of what tensors() leaves out.
  const std::map<std::string, std::string, std::less<>>& left_out() const { return left_out_; }
  /// The file they lie in; empty when parsed from bytes in memory.
  const MappedFile& mapping() const { return mapping_; }

 private:
  MappedFile mapping_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, View, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> left_out_;
};

}  // namespace calliope::tensor
