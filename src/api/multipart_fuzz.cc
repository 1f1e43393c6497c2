// Whatever bytes a client sends as a form, and whatever it says they are: parts that lie in the body or a clear error,
// and the same of a transcription's fields. The first line of the input is the Content-Type.
#include <cstddef>
#include <cstdint>

#include "api/multipart.h"
#include "api/transcription_request.h"
#include "base/check.h"

namespace {

class TinyDecoder : public calliope::api::MediaDecoder {
 public:
  calliope::Result<calliope::assistant::Image> image(std::span<const uint8_t>) override {
    return calliope::fail(calliope::ErrorCode::invalid_argument, "no picture");
  }
  calliope::Result<calliope::assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view) override {
    CHECK(!bytes.empty());
    return calliope::assistant::Sound{.samples = {0.0f}};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  const std::string_view type = input.substr(0, line);
  const std::string_view body = line == std::string_view::npos ? std::string_view() : input.substr(line + 1);
  const calliope::api::MultipartLimits limits;
  const auto parts = calliope::api::parse_multipart(type, body, limits);
  if (parts) {
    CHECK(parts->size() <= limits.parts);
    const char* before = body.data();
    for (const auto& part : *parts) {
      CHECK(!part.name.empty() && part.name.size() <= limits.name_bytes);
      if (part.value.empty()) continue;
      CHECK(part.value.data() > before && part.value.data() + part.value.size() <= body.data() + body.size());
      before = part.value.data() + part.value.size();
    }
  } else {
    CHECK(!parts.error().message.empty());
  }
  TinyDecoder decoder;
  const auto request = calliope::api::parse_transcription(type, body, {.decoder = decoder});
  CHECK(request ? request->sound != nullptr : !request.error().message.empty());
  return 0;
}
