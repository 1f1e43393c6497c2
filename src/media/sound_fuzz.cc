// Whatever bytes come as a sound: samples within the limits or a clear error, never a crash.
#include <cmath>

#include "base/check.h"
#include "media/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const calliope::media::DecodeLimits limits{.sound_seconds = 20};
  const auto samples = calliope::media::decode_sound({data, size}, limits);
  if (samples) {
    CHECK(!samples->empty());
    CHECK(samples->size() <= size_t(limits.sound_seconds) * calliope::media::kSoundRate);
    for (const float sample : *samples) CHECK(std::abs(sample) <= 1.0f);
  } else {
    CHECK(!samples.error().message.empty());
  }
  return 0;
}
