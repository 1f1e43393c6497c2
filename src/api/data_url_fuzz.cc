// Whatever text comes as a data: URL, and whatever bytes as base64: bytes or a clear error, never a crash.
#include "api/data_url.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "media/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  const auto read = calliope::api::parse_data_url(url);
  if (read) {
    CHECK(!read->mime.empty() && !read->bytes.empty());
    CHECK(read->bytes.size() < size);
  } else {
    CHECK(!read.error().message.empty());
  }
  const auto again = calliope::media::decode_base64(calliope::media::encode_base64({data, size}));
  CHECK(again && again->size() == size && std::equal(again->begin(), again->end(), data));
  return 0;
}
