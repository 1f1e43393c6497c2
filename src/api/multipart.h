#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::api {

/// One field of a form.
struct FormPart {
  std::string name;
  std::optional<std::string> filename = {};  ///< there is one: it is a file
  std::string_view value;                    ///< a piece of the body
};

struct MultipartLimits {
  size_t parts = 64;
  size_t header_bytes = 8 << 10;  ///< of one part
  size_t name_bytes = 256;        ///< a field's or a file's
};

/// Reads a body of multipart/form-data (RFC 7578, and RFC 2046 for the boundaries). `content_type` is the header, which
/// names the boundary. What comes before the first boundary and after the last is left out. Strict where guessing would
/// change what is read: lines end in CRLF, the last boundary must be there, contents are as they are. Costs no more
/// than a look at each byte and what the limits allow. Errors: unsupported for another media type, too_large over a
/// limit, else invalid_argument with the part's number and name.
Result<std::vector<FormPart>> parse_multipart(std::string_view content_type, std::string_view body,
                                              const MultipartLimits& limits = {});

}  // namespace calliope::api
