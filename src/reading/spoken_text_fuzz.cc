#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "reading/passages.h"
#include "reading/pronunciations.h"
#include "reading/spoken_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calliope::reading;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const SpokenText spoken = spoken_text(text);
  CHECK(spoken.source_bytes(spoken.text.size()) <= text.size());
  size_t end = 0;
  for (const Passage& passage : passages(spoken.text, 1 + data[0])) {
    CHECK(passage.begin >= end && passage.end > passage.begin && passage.end <= spoken.text.size());
    end = passage.end;
    const size_t bytes = passage.end - passage.begin;
    const SpokenText said = spelled_as_said(std::string_view(spoken.text).substr(passage.begin, bytes));
    CHECK(said.source_bytes(said.text.size()) == bytes);
  }
  return 0;
}
