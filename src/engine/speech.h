#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "engine/spoken_words.h"
#include "model/model.h"

namespace calliope::engine {

/// How speech is drawn; from the checkpoint's generation config unless greedy.
struct SpeechOptions {
  bool greedy = false;
  uint64_t seed = 0;
  int max_frames = 4096;
  int lead_frames = 0;  ///< before them, which are silence and neither heard nor counted (talker_lead_frames)
};

/// Frames that talker_max_new_tokens allows beside the lead: the reference predicts the residual codes of a token only when
/// it feeds it, so the last one gives no frame.
inline int max_frames(const model::GenerationConfig& generation) {
  return std::max(1, generation.talker_max_new_tokens - 1 - generation.talker_lead_frames);
}

class Speech;

/// Buffers of Speech::step, for all answers being spoken.
struct SpeechScratch {
  model::TalkerScratch talker;
  std::vector<model::TalkerStep> steps;
  std::vector<int32_t> ids;
  std::vector<Speech*> going;
  tensor::Tensor rows, embeds, texts;
  model::Code2WavScratch vocoder;
  std::vector<model::Code2WavStep> frames;  // of those whose frames become samples
  std::vector<Speech*> vocoding;
};

/// Speaks one answer while its text is still coming: talker, code predictor and vocoder, frame by frame.
class Speech {
 public:
  /// `media_hidden` holds the thinker's accept-layer hidden states of the prompt's media rows, in order: [media rows, D];
  /// they must outlive the speech. The talker's keys and values go to `memory`; null: to memory of its own.
  Speech(const model::Model& model, const Prompt& prompt, tensor::ConstRows media_hidden, std::string_view voice,
         const SpeechOptions& options, std::shared_ptr<model::KvPages> memory = nullptr);
  Speech(const Speech&) = delete;
  Speech& operator=(const Speech&) = delete;

  /// Tokens of the talker that an answer to a prompt of so many tokens takes at most, with a lead as the checkpoint has it.
  static int64_t most_tokens(const model::GenerationConfig& generation, int64_t prompt_tokens, int64_t max_frames);

  /// The next token of what is said, in order, and the text of the answer that it gives; not the end-of-turn token.
  void push(int32_t token, std::string_view text = {}) {
    text_.push_back(token);
    words_.push_text(text);
  }
  /// No more text comes.
  void finish_text() { text_ended_ = true; }

  /// Runs the next rows of the prompt's user turns, at most `most`: they do not wait for the text.
  void prefill(int64_t most, SpeechScratch& scratch);
  /// Rows that prefill() has still to run; step() runs what is left of them.
  int64_t prompt_left() const;

  /// True when step() can go on: the text it needs next is there, or the text has ended.
  bool ready() const;
  bool done() const { return done_; }

  /// One frame: the samples (24 kHz) that are final with it, valid until the next call. Later in an answer they come a few
  /// frames at a time, the last when it has ended.
  Result<std::span<const float>> step();

  /// One frame of each, all in one pass through talker and code predictor, each as it would be alone; outcome() tells.
  /// All must be ready(). The samples stay valid until the scratch is used again.
  static void step(std::span<Speech* const> speeches, SpeechScratch& scratch);
  const Result<std::span<const float>>& outcome() const { return outcome_; }
  /// The words that were said within the samples so far.
  SpokenWords& words() { return words_; }

  /// All codes so far: frames x groups.
  const std::vector<int32_t>& codes() const { return codes_; }
  int frames() const { return frames_; }

 private:
  /// A row of the prompt's user turns: a token, or a row of media_hidden.
  struct UserRow {
    int32_t id = 0;
    int64_t media = -1;
  };
  void project_user_rows(std::span<const UserRow> rows, SpeechScratch& scratch, tensor::Rows out) const;
  void run_prompt_rows(tensor::Rows rows, SpeechScratch& scratch);
  void begin(SpeechScratch& scratch);
  bool begins_step(SpeechScratch& scratch);
  bool wants_vocoding() const;
  static void vocode(std::span<Speech* const> speeches, SpeechScratch& scratch);
  std::span<const float> after_text();
  void watch_text(int64_t tokens);
  int32_t pick(Sampler& sampler, std::span<float> logits);
  void finish_step(bool ended);
  int vocoded_frames() const;

  const model::Model& model_;
  const model::Talker& talker_;
  tensor::ConstRows media_hidden_;
  SpeechOptions options_;
  int32_t speaker_;
  model::TalkerState state_;
  model::Code2WavStream vocoder_;
  Sampler code_sampler_, residual_sampler_;
  model::Picker pick_code_, pick_residual_;
  model::Positions positions_;
  std::vector<UserRow> user_rows_;
  tensor::Tensor start_rows_;    // [3, D]
  int64_t prefilled_ = 0;        // user rows, then assistant rows, that are run
  std::deque<int32_t> text_;     // tokens waiting
  std::vector<int32_t> frame_, codes_;
  SpokenWords words_;
  int64_t given_ = 0;            // tokens of the text that the talker has taken
  Result<std::span<const float>> outcome_;
  std::unique_ptr<SpeechScratch> scratch_;  // of steps alone
  int frames_ = 0, lead_left_ = 0;
  bool begun_ = false, text_ended_ = false, eos_given_ = false, done_ = false, finite_ = true;
};

}  // namespace calliope::engine
