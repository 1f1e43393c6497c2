#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "engine/speech.h"
#include "engine/stop_strings.h"
#include "model/model.h"

namespace calliope::engine {

/// What submit() can refuse at once: an empty conversation, media or speech the model has no part for.
Result<void> check_request(const model::Model& model, const assistant::Request& request);

/// The model's voices by name.
std::vector<std::string> voice_names(const model::Model& model);

/// One request being answered. Everything happens in step(), a small piece at a time: media and prompt, a piece of
/// prefill, then a token of text and a frame of speech each step.
class Session {
 public:
  Session(std::shared_ptr<const model::Model> model, assistant::Request request, std::shared_ptr<assistant::Sink> sink,
          std::stop_token stop);

  /// Does the next piece. False when the request has ended, with Finished or Failed sent.
  bool step();

  /// Ends the request from outside, unless it has ended.
  void cancel();
  void fail(Error error);

 private:
  Result<void> open();
  void prefill_piece();
  Result<void> text_step();
  Result<void> speech_step();
  void end_text(assistant::FinishReason reason);
  void emit(std::string text);
  void finish(assistant::FinishReason reason);

  std::shared_ptr<const model::Model> model_;
  assistant::Request request_;
  std::shared_ptr<assistant::Sink> sink_;
  std::stop_token stop_;

  Prompt prompt_;
  model::DecoderState state_;
  tensor::Tensor media_hidden_, hidden_, logits_;
  std::vector<float> media_rows_;  // accept-layer hidden states of media rows, as they come
  int64_t prefilled_ = 0, next_position_ = 0;
  std::optional<Sampler> sampler_;
  std::optional<model::Detokenizer> detokenizer_;
  StopStrings stops_;
  std::optional<Speech> speech_;
  assistant::Usage usage_;
  assistant::FinishReason reason_ = assistant::FinishReason::stop;
  bool opened_ = false, text_ended_ = false, ended_ = false;
};

}  // namespace calliope::engine
