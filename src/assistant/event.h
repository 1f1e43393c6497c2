#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace calliope::assistant {

/// More of the answer's text; always whole UTF-8 characters.
struct TextDelta {
  std::string text;
};

/// More of the answer's sound: mono samples at kSpeechSampleRate, in [-1, 1].
struct AudioDelta {
  std::vector<float> samples;
};
inline constexpr int kSpeechSampleRate = 24000;

enum class FinishReason { stop, length, cancelled };

/// Tokens a request cost; media tokens and cached ones are part of prompt_tokens.
struct Usage {
  int prompt_tokens = 0;
  int prompt_audio_tokens = 0;
  int prompt_image_tokens = 0;
  int prompt_cached_tokens = 0;  ///< of prompt_tokens, those that were not run again
  int completion_tokens = 0;
  int completion_audio_frames = 0;
};

/// The last event of a request that was answered.
struct Finished {
  FinishReason reason = FinishReason::stop;
  Usage usage;
};

/// The last event of a request that failed.
struct Failed {
  Error error;
};

/// What the engine tells while it answers: any number of deltas, then exactly one Finished or Failed.
using Event = std::variant<TextDelta, AudioDelta, Finished, Failed>;

}  // namespace calliope::assistant
