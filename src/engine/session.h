#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "engine/constraint.h"
#include "engine/kv_memory.h"
#include "engine/meter.h"
#include "engine/playback_clock.h"
#include "engine/prompt_builder.h"
#include "engine/reading.h"
#include "engine/sampler.h"
#include "engine/scoring.h"
#include "engine/speech.h"
#include "engine/spoken_spelling.h"
#include "engine/stop_strings.h"
#include "engine/text_stage.h"
#include "engine/tool_calls.h"
#include "model/model.h"

namespace calliope::engine {

/// What submit() can refuse at once: an empty conversation, media or speech the model has no part for.
Result<void> check_request(const model::Model& model, const assistant::Request& request);

/// The model's voices by name.
std::vector<std::string> voice_names(const model::Model& model);

/// One request being answered: what it has said and what it needs next. The scheduler runs the model for all sessions
/// together and hands each its part; a session alone touches its sink.
class Session {
 public:
  Session(std::shared_ptr<const model::Model> model, assistant::Request request, std::shared_ptr<assistant::Sink> sink,
          std::stop_token stop);
  /// To be told before anything else: where to count, when the request came or its live sound ended, and whether such a
  /// sound, if it has one, is not known to have ended.
  void attach(Meter& meter, Time asked, bool speaking);

  /// Finished or Failed was sent.
  bool ended() const { return ended_; }
  /// Ends the request when its stop token asks for it.
  void check_stop();
  /// Ends the request from outside, unless it has ended.
  void cancel();
  void fail(Error error);

  /// Something to hold as long as it is there.
  void hold(std::shared_ptr<void> what) { held_ = std::move(what); }

  /// Seconds since it came, or since its live sound ended.
  double waited_s() const { return seconds_between(asked_at_, meter_->now()); }
  /// It has waited for place and memory for as long as it may. While somebody speaks he does not wait yet.
  bool late() const { return request_.max_wait_s > 0 && !admitted() && !speaking_ && waited_s() > request_.max_wait_s; }
  void refuse_late();
  /// It has a live sound that is not known to have ended.
  bool speaking() const { return speaking_; }
  const std::string& user() const { return request_.user; }
  /// Somebody listens while it is spoken.
  bool live() const { return request_.live && request_.speak; }
  /// A sound of its prompt is still being recorded.
  bool listening() const { return builder_ && builder_->listening(); }
  /// All has been said to it, and it has not begun to answer.
  bool awaited() const { return begun_ && !ended_ && !listening() && !answering_; }

  /// Chat template, tokens, sizes. A session that cannot begin has failed.
  void begin(MediaCache* media, const KvMemory& memory, int64_t most_live_seconds);
  bool begun() const { return begun_; }
  /// Claims memory; false when there is not enough just now. One that needs more than there is at all fails; an answer
  /// that may become too long for it is shortened.
  bool admit(KvMemory& memory);
  bool admitted() const { return claim_.has_value(); }
  /// The next piece of the encoders' work, or the prompt that came of it; false: there is nothing to do, or not now.
  bool encode(const TextStage& text);
  bool encoding() const { return builder_.has_value() && !ended_; }

  /// Its prompt has rows to run.
  bool prefilling() const { return admitted() && !ended_ && text_.prefilling(); }
  /// Its whole prompt was run.
  bool prompt_run() const { return admitted() && !ended_ && prompt_whole_ && !text_.prefilling(); }
  /// It waits for logits to draw a token from.
  bool drawing() const { return prompt_run() && !text_ended_ && !scoring_; }
  /// logits [vocabulary], changed in place. Afterwards sequence().token is the token to run, if the text goes on.
  void draw(std::span<float> logits);
  TextSequence& sequence() { return text_; }

  /// After the last row of the prompt: what follows needs less memory, and speech may begin.
  void end_prompt();
  /// Null without speech or before the prompt was run, and in the end.
  Speech* speech() { return speech_ && !ended_ ? &*speech_ : nullptr; }
  const PlaybackClock& playback() const { return playback_; }
  /// Its listener has so much in hand that it need not go on now. One who does not keep up with the sound has failed.
  bool resting();
  /// Sends what the last step of speech() gave.
  void take_speech();

  /// Its choices, when the prompt was run and they are what is asked for; else null.
  Scoring* scoring() { return scoring_ && prompt_run() ? &*scoring_ : nullptr; }
  /// Sends the scores when there are all.
  void take_scores();

  /// Ends the request when text and speech have.
  void finish_if_done();

 private:
  void begin_reading();
  void begin_passage();
  void end_passage();
  void send_sound(std::vector<float> samples);
  Result<int32_t> pick(std::span<float> logits);
  Result<void> take_prompt(const TextStage& text);
  Result<void> end_building();
  Result<KvMemory::Tokens> fit(int64_t prompt_tokens);
  Result<void> draw_from(std::span<float> logits);
  void end_text(assistant::FinishReason reason);
  void take_written(std::string_view text);
  void take_pieces(std::vector<ToolCallReader::Piece> pieces);
  void speak(int32_t token, std::string_view text);
  void speak(const std::vector<SpokenSpelling::Piece>& pieces);
  void speak_decided();
  void emit(std::string text);
  void send(assistant::Event event);
  void tell_words();
  void tell(assistant::SpokenMark mark);
  void finish(assistant::FinishReason reason);

  std::shared_ptr<const model::Model> model_;
  assistant::Request request_;
  std::shared_ptr<assistant::Sink> sink_;
  std::stop_token stop_;
  std::shared_ptr<void> held_;
  Meter* meter_ = nullptr;
  Time asked_at_{};  // when it came, or when its live sound ended

  std::optional<PromptBuilder> builder_;  // until the prompt is whole
  int64_t most_live_seconds_ = 0;
  KvMemory::Tokens most_;                 // that there is memory for
  std::optional<KvMemory::Claim> claim_;  // outlives what it claims for
  std::shared_ptr<model::KvPages> talker_memory_;
  TextSequence text_;
  std::optional<Sampler> sampler_;
  std::optional<Scoring> scoring_;
  std::optional<Constraint> constraint_;
  std::optional<model::Detokenizer> detokenizer_;
  StopStrings stops_;
  std::optional<ToolCallReader> tools_;
  // Tokens of which it is not known yet whether they belong to a call, with the bytes they wrote and the text these are.
  struct Written {
    int32_t token = 0;
    size_t begin = 0, end = 0;
    std::string text;
  };
  std::deque<Written> written_;
  size_t written_bytes_ = 0;
  SpeechOptions speech_options_;
  std::optional<Reading> reading_;  // given text instead of an answer's
  std::optional<SpokenSpelling> spelling_;  // of an answer's words, where the talker wants it
  std::optional<Speech> speech_;
  int frames_before_ = 0;           // of passages before this one
  size_t text_bytes_ = 0;         // sent
  int64_t sent_samples_ = 0;
  assistant::SpokenMark marked_;  // the last one sent
  assistant::Usage usage_;
  assistant::FinishReason reason_ = assistant::FinishReason::stop;
  PlaybackClock playback_;
  bool speaking_ = false;  // its live sound is not known to have ended
  bool begun_ = false, prompt_whole_ = false, answering_ = false, text_ended_ = false, ended_ = false;
  bool text_sent_ = false;
};

}  // namespace calliope::engine
