#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::api {

/// What a data: URL holds.
struct DataUrl {
  std::string mime;  ///< lower case, without parameters: image/png
  std::vector<uint8_t> bytes;
};

/// Reads data:[mime][;parameters];base64,... (RFC 2397). Every other URL is refused: the server fetches nothing.
Result<DataUrl> parse_data_url(std::string_view url);

}  // namespace calliope::api
