// Whatever bytes come as a picture: pixels within the limits or a clear error, never a crash.
#include "base/check.h"
#include "media/decode.h"

// These libraries lose memory when an AV1 or HEVC picture is broken; in DecodePool it goes with the process.
extern "C" const char* __lsan_default_suppressions() { return "leak:libdav1d\nleak:libde265\n"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const calliope::media::DecodeLimits limits{.pixels = 1 << 20, .side = 4096};
  const auto picture = calliope::media::decode_picture({data, size}, limits);
  if (picture) {
    CHECK(picture->width > 0 && picture->width <= limits.side);
    CHECK(picture->height > 0 && picture->height <= limits.side);
    CHECK(int64_t{picture->width} * picture->height <= limits.pixels);
    CHECK(picture->rgb.size() == size_t(picture->width) * size_t(picture->height) * 3);
  } else {
    CHECK(!picture.error().message.empty());
  }
  return 0;
}
