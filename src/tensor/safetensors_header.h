#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::tensor {

/// One tensor as a safetensors header has it.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  ///< bytes after the header
};

struct Header {
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string, std::less<>> metadata;
};

/// Reads a header without building a tree, so that memory stays in proportion to what it names. `where` begins the
/// messages. invalid_argument for anything malformed, and for names given twice.
Result<Header> parse_safetensors_header(std::string_view text, const std::string& where);

}  // namespace calliope::tensor
