#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace calliope::tensor {

/// A file's bytes, memory-mapped for reading. They stay valid as long as a copy lives.
class MappedFile {
 public:
  /// not_found, or io with what the system says.
  static Result<MappedFile> open(const std::string& path);

  /// Begins at a multiple of the page size; empty for an empty file.
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Takes a part of bytes() out of this process's memory until it is read again.
  void release(std::span<const std::byte> part) const;

 private:
  std::shared_ptr<const void> mapping_;
  std::span<const std::byte> bytes_;
};

}  // namespace calliope::tensor
