// Whatever bytes a client sends as a realtime event: a typed event or a clear error, never a crash; and what they set
// is written back as JSON that is read again.
#include <cstddef>
#include <cstdint>

#include "api/realtime_client_event.h"
#include "api/realtime_server_event.h"
#include "base/check.h"

namespace {

using namespace calliope;
namespace rt = api::realtime;

class TinyDecoder : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t> bytes) override {
    CHECK(!bytes.empty());
    return assistant::Image{.width = 1, .height = 1, .rgb = {bytes[0], bytes.back(), 0}};
  }
  Result<assistant::Sound> sound(std::span<const uint8_t>, std::string_view) override {
    return assistant::Sound{.samples = {0.0f}};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  TinyDecoder decoder;
  const rt::Session session{.model = "nano"};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto event = rt::parse_client_event(text, {.decoder = decoder, .session = session});
  if (!event) {
    CHECK(!event.error().error.message.empty());
    CHECK(!rt::to_json(rt::ErrorEvent{event.error().error, event.error().event_id}, "e", rt::Dialect::ga).empty());
    return 0;
  }
  if (const auto* update = std::get_if<rt::UpdateSession>(&event->body)) {
    for (const auto dialect : {rt::Dialect::ga, rt::Dialect::beta}) {
      CHECK(!rt::to_json(rt::SessionUpdated{update->session, "s", 1}, "e", dialect).empty());
    }
  } else if (const auto* create = std::get_if<rt::CreateItem>(&event->body)) {
    CHECK(!rt::to_json(rt::ItemRetrieved{create->item}, "e", rt::Dialect::ga).empty());
  }
  return 0;
}
