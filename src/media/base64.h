#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::media {

/// Standard base64 (RFC 4648, section 4) with padding.
std::string encode_base64(std::span<const uint8_t> bytes);

/// Reads standard or URL-safe base64. Line breaks and spaces are skipped, padding may be missing. Errors name the
/// place.
Result<std::vector<uint8_t>> decode_base64(std::string_view text);

}  // namespace calliope::media
