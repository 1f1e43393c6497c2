#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace calliope::assistant {

/// How often a value was at most each of `Bounds`, and above the last; how many there were, and their sum.
template <const auto& Bounds>
struct Histogram {
  static constexpr const auto& kBounds = Bounds;
  std::array<uint64_t, Bounds.size() + 1> counts{};  ///< not cumulative; the last is of values above all bounds
  uint64_t count = 0;
  double sum = 0;

  void add(double value) {
    const auto above = std::ranges::lower_bound(Bounds, value);
    ++counts[static_cast<size_t>(above - Bounds.begin())];
    ++count;
    sum += value;
  }
};

inline constexpr std::array kSecondsBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0};
inline constexpr std::array kBatchBounds = {1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0};
using SecondsHistogram = Histogram<kSecondsBounds>;
using BatchHistogram = Histogram<kBatchBounds>;

/// The parts of a round.
enum class Stage {
  media,           ///< steps of the audio and vision encoders; a batch is one step
  prefill,         ///< prompt rows through the thinker; a batch counts rows
  decode,          ///< a token of each answer; a batch counts answers (in the same pass as prefill, when both run)
  speech_prefill,  ///< prompt rows through the talker; a batch counts rows
  speech,          ///< a frame of each answer that is spoken: talker, code predictor and vocoder; a batch counts answers
};
inline constexpr std::array kStageNames = {"media", "prefill", "decode", "speech_prefill", "speech"};

/// What one stage has done since the start.
struct StageStats {
  BatchHistogram batch;  ///< its passes by their size
  double seconds = 0;    ///< spent in them; a pass of prefill and decode together counts for each by its rows
};

/// Pages of keys and values of one decoder.
struct KvStats {
  int64_t used_pages = 0;     ///< held by sessions or the prefix cache
  int64_t claimed_pages = 0;  ///< that open sessions may come to need
  int64_t total_pages = 0;
};

/// What the engine has done since it was started, and how it stands now.
struct EngineStats {
  // Now.
  size_t queued = 0;         ///< requests that wait for a place
  size_t sessions = 0;       ///< requests in a place: listening, waiting for memory or being answered
  size_t live_sessions = 0;  ///< of them, those that somebody listens to while they are spoken
  KvStats thinker, talker;   ///< talker all zero when the model does not speak

  // Since the start: requests.
  uint64_t submitted = 0;  ///< taken into the queue
  uint64_t refused = 0;    ///< because the queue was full
  uint64_t finished = 0;
  uint64_t cancelled = 0;
  std::array<uint64_t, static_cast<size_t>(ErrorCode::internal) + 1> failed{};  ///< by ErrorCode
  SecondsHistogram queue_seconds;        ///< from submit until the prompt may be run
  SecondsHistogram first_text_seconds;   ///< from submit, or from the end of a live sound, to the first TextDelta
  SecondsHistogram first_audio_seconds;  ///< the same, to the first AudioDelta

  // Work.
  std::array<StageStats, kStageNames.size()> stages;  ///< by Stage
  SecondsHistogram round_seconds;                     ///< how long a round took, idle waiting not counted
  uint64_t prompt_tokens_run = 0;                     ///< through the thinker
  uint64_t prompt_tokens_cached = 0;                  ///< that the prefix cache had
  uint64_t tokens_drawn = 0;
  uint64_t audio_frames = 0;  ///< spoken
  uint64_t audio_samples = 0;

  // Caches: what was asked for and what was there.
  uint64_t prefix_pages_asked = 0, prefix_pages_found = 0;
  uint64_t media_asked = 0, media_found = 0;  ///< pictures, sounds and chunks of sounds

  // Playback, of live sessions: a gap begins when all samples sent have been played and more were to come.
  uint64_t playback_gaps = 0;
  double playback_gap_seconds = 0;

  const StageStats& stage(Stage which) const { return stages[static_cast<size_t>(which)]; }
  StageStats& stage(Stage which) { return stages[static_cast<size_t>(which)]; }
};

}  // namespace calliope::assistant
