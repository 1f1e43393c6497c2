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
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "engine/scoring.h"
#include "engine/speech.h"
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

  /// Finished or Failed was sent.
  bool ended() const { return ended_; }
  /// Ends the request when its stop token asks for it.
  void check_stop();
  /// Ends the request from outside, unless it has ended.
  void cancel();
  void fail(Error error);

  /// Media and prompt. A session that cannot be opened has failed.
  void open(MediaCache* media);
  bool opened() const { return opened_; }
  /// Claims memory and begins with the prompt; false when there is not enough just now. One that needs more than there is
  /// at all fails; an answer that may become too long for it is shortened.
  bool admit(KvMemory& memory);
  bool admitted() const { return claim_.has_value(); }

  /// Its prompt has rows to run.
  bool prefilling() const { return admitted() && !ended_ && text_.prefilling(); }
  /// It waits for logits to draw a token from.
  bool drawing() const { return admitted() && !ended_ && !text_.prefilling() && !text_ended_ && !scoring_; }
  /// logits [vocabulary], changed in place. Afterwards sequence().token is the token to run, if the text goes on.
  void draw(std::span<float> logits);
  TextSequence& sequence() { return text_; }

  /// After the last row of the prompt: what follows needs less memory, and speech may begin.
  void end_prompt();
  /// Null without speech or before the prompt was run.
  Speech* speech() { return speech_ ? &*speech_ : nullptr; }
  /// Sends what the last step of speech() gave.
  void take_speech();

  /// Its choices, when the prompt was run and they are what is asked for; else null.
  Scoring* scoring() { return scoring_ && admitted() && !ended_ && !text_.prefilling() ? &*scoring_ : nullptr; }
  /// Sends the scores when there are all.
  void take_scores();

  /// Ends the request when text and speech have.
  void finish_if_done();

 private:
  Result<void> build(MediaCache* media);
  Result<int32_t> pick(std::span<float> logits);
  Result<void> draw_from(std::span<float> logits);
  Result<void> prepare_scoring(int64_t room);
  Result<void> fit(const KvMemory::Tokens& most);
  void end_text(assistant::FinishReason reason);
  void take_written(std::string_view text);
  void take_pieces(std::vector<ToolCallReader::Piece> pieces);
  void speak_decided();
  void emit(std::string text);
  void finish(assistant::FinishReason reason);

  std::shared_ptr<const model::Model> model_;
  assistant::Request request_;
  std::shared_ptr<assistant::Sink> sink_;
  std::stop_token stop_;

  std::optional<KvMemory::Claim> claim_;  // outlives what it claims for
  std::shared_ptr<model::KvPages> talker_memory_;
  TextSequence text_;
  std::optional<Sampler> sampler_;
  std::optional<Scoring> scoring_;
  std::optional<Constraint> constraint_;
  std::optional<model::Detokenizer> detokenizer_;
  StopStrings stops_;
  std::optional<ToolCallReader> tools_;
  // Tokens of which it is not known yet whether they belong to a call, with the bytes they wrote.
  struct Written {
    int32_t token = 0;
    size_t begin = 0, end = 0;
  };
  std::deque<Written> written_;
  size_t written_bytes_ = 0;
  SpeechOptions speech_options_;
  std::optional<Speech> speech_;
  assistant::Usage usage_;
  assistant::FinishReason reason_ = assistant::FinishReason::stop;
  bool opened_ = false, text_ended_ = false, ended_ = false;
};

}  // namespace calliope::engine
