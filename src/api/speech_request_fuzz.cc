#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/speech_request.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string> voices = {"anna"};
  const auto request = calliope::api::parse_speech({reinterpret_cast<const char*>(data), size}, {.voices = voices});
  if (request)
    CHECK(!request->request.read_aloud.empty() &&
          request->request.read_aloud.size() <= 4 * calliope::api::kMostSpeechCharacters);
  return 0;
}
