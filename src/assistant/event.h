#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "assistant/request.h"
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

/// The first `text_bytes` bytes of the answer's text, or of the text that is read aloud, have been said when the first `samples` samples of its sound have
/// been played. Told at the ends of words, with rising numbers; the last one names the whole text and sound.
struct SpokenMark {
  size_t text_bytes = 0;
  int64_t samples = 0;
};

/// The answer is, or goes on with, a call of a tool, told when it is whole.
struct ToolCalled {
  ToolCall call;
};

/// Of every one of Request::choices, the natural log of its probability as the whole of the answer's next tokens.
struct Scored {
  std::vector<double> log_probabilities;
};

enum class FinishReason { stop, length, cancelled, tool_calls };

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
using Event = std::variant<TextDelta, AudioDelta, SpokenMark, ToolCalled, Scored, Finished, Failed>;

}  // namespace calliope::assistant
