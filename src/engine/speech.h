#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "model/model.h"

namespace calliope::engine {

/// How speech is drawn; from the checkpoint's generation config unless greedy.
struct SpeechOptions {
  bool greedy = false;
  uint64_t seed = 0;
  int max_frames = 4096;
};

/// Frames that talker_max_new_tokens allows: the reference predicts the residual codes of a token only when it feeds it,
/// so the last one gives no frame.
inline int max_frames(const model::GenerationConfig& generation) { return generation.talker_max_new_tokens - 1; }

/// Speaks one answer while its text is still coming: talker, code predictor and vocoder, frame by frame.
class Speech {
 public:
  /// `media_hidden` holds the thinker's accept-layer hidden states of the prompt's media rows, in order: [media rows, D].
  Speech(const model::Model& model, const Prompt& prompt, const tensor::Tensor& media_hidden, std::string_view voice,
         const SpeechOptions& options);

  /// The next token of the answer, in order; not the end-of-turn token.
  void push(int32_t token);
  /// No more text comes.
  void finish_text() { text_ended_ = true; }

  /// True when step() can go on: the text it needs next is there, or the text has ended.
  bool ready() const;
  bool done() const { return done_; }

  /// One frame: its samples (24 kHz), valid until the next call; empty when the answer has ended.
  Result<std::span<const float>> step();

  /// All codes so far: frames x groups.
  const std::vector<int32_t>& codes() const { return codes_; }
  int frames() const { return frames_; }

 private:
  void begin();
  std::span<const float> next_text();

  const model::Model& model_;
  const model::Talker& talker_;
  SpeechOptions options_;
  int32_t speaker_;
  model::TalkerState state_;
  model::Code2WavStream vocoder_;
  Sampler code_sampler_, residual_sampler_;
  model::Positions positions_;
  tensor::Tensor prompt_rows_;   // [user rows + assistant rows, D]
  tensor::Tensor start_rows_;    // [3, D]
  std::deque<std::vector<float>> text_;  // projected rows waiting
  std::vector<int32_t> frame_, codes_;
  std::vector<float> row_;
  int frames_ = 0;
  bool begun_ = false, text_ended_ = false, eos_given_ = false, done_ = false;
};

}  // namespace calliope::engine
