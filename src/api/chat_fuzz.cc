// Whatever bytes a client sends as a chat request: an answer or a clear error, never a crash.
#include <cstddef>
#include <cstdint>

#include "api/chat_request.h"
#include "base/check.h"

namespace {

class TinyDecoder : public calliope::api::MediaDecoder {
 public:
  calliope::Result<calliope::assistant::Image> image(std::span<const uint8_t> bytes) override {
    CHECK(!bytes.empty());
    return calliope::assistant::Image{.width = 1, .height = 1, .rgb = {bytes[0], bytes.back(), 0}};
  }
  calliope::Result<calliope::assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view) override {
    CHECK(!bytes.empty());
    return calliope::assistant::Sound{.samples = {0.0f}};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  TinyDecoder decoder;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto chat = calliope::api::parse_chat(body, {.decoder = decoder});
  if (chat) {
    CHECK(!chat->request.turns.empty());
    CHECK(chat->request.max_tokens > 0);
  } else {
    CHECK(!chat.error().message.empty());
  }
  return 0;
}
