#include "api/speech_response.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "api/chat_response.h"
#include "media/base64.h"

namespace calliope::api {
namespace {

std::string event(const boost::json::object& object) { return "data: " + boost::json::serialize(object) + "\n\n"; }

}  // namespace

std::string speech_delta(std::span<const uint8_t> bytes) {
  return event({{"type", "speech.audio.delta"}, {"audio", media::encode_base64(bytes)}});
}

std::string speech_done(const assistant::Usage& usage) {
  return event({{"type", "speech.audio.done"},
                {"usage",
                 {{"input_tokens", usage.prompt_tokens},
                  {"output_tokens", usage.completion_audio_frames},
                  {"total_tokens", usage.prompt_tokens + usage.completion_audio_frames}}}});
}

std::string speech_failed(const Error& error) { return ChatStream::fail(error); }

}  // namespace calliope::api
