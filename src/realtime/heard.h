#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "assistant/event.h"

namespace calliope::realtime {

/// How far an answer was heard: its first `text_bytes` bytes, and where the sound of these ends.
struct Heard {
  size_t text_bytes = 0;
  int64_t samples = 0;
};

/// The words of `text` whose sound had ended when its first `cut` samples were played. `marks` come from the engine;
/// without any, words are taken to be as long as they are written, `all` samples together.
Heard heard(std::string_view text, std::span<const assistant::SpokenMark> marks, int64_t cut, int64_t all);

}  // namespace calliope::realtime
