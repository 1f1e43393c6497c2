#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "assistant/event.h"
#include "assistant/request.h"
#include "base/result.h"
#include "engine/passage_sound.h"
#include "engine/prompt.h"
#include "model/model.h"
#include "reading/passages.h"
#include "reading/spoken_text.h"

namespace calliope::engine {

/// A given text on its way to the talker, passage by passage: each is spoken as an answer of its own, so that the
/// talker stays in lengths it knows. No thinker takes part: the talker takes, for text, projections of token
/// embeddings.
class Reading {
 public:
  static constexpr size_t kMostBytes = size_t{1} << 20;

  /// Request::read_aloud as the model reads it. `most_tokens`: that the talker has memory for. invalid_argument when
  /// there is nothing that can be said, too_large when there is not enough memory.
  static Result<Reading> make(const model::Model& model, const assistant::Request& request, int64_t most_tokens);

  /// What the talker takes for the conversation before: a user's turn and the head of the assistant's.
  const Prompt& prompt() const { return prompt_; }
  /// Tokens of the talker that the longest passage takes at most.
  int64_t most_tokens() const;

  /// What the talker is to be given next.
  struct Text {
    std::vector<int32_t> tokens;
    std::vector<std::string> pieces;  ///< the text that each of them gives
    int most_frames = 0;              ///< whatever is spoken beyond is no reading of it
  };
  /// Begins the next passage, whose sound begins at `sample` of the answer. Errors as Tokenizer::encode.
  Result<Text> begin(int64_t sample);
  bool more() const { return next_ < passages_.size(); }

  /// More of the passage's sound; `ended` with the last. Returns what is final of it, which may be nothing.
  std::vector<float> take(std::span<const float> samples, bool ended);
  /// Samples of the silence after the passage.
  int64_t pause_samples() const;

  /// Samples of the passage, as the talker gave them, that take() has returned or dropped.
  int64_t given() const { return sound_.given(); }
  /// A mark within the passage as one of the whole text and sound.
  assistant::SpokenMark place(const assistant::SpokenMark& mark) const;
  /// Bytes of the whole text up to the passage's end.
  size_t read_bytes() const;

 private:
  int frames_for(const reading::Passage& passage) const;

  const model::Model* model_ = nullptr;
  Prompt prompt_;
  reading::SpokenText spoken_;
  std::vector<reading::Passage> passages_;
  int64_t most_frames_ = 0;  // of any passage
  size_t next_ = 0;
  reading::SpokenText said_;  ///< the passage, as the talker gets it
  PassageSound sound_;
  int64_t begin_sample_ = 0;
};

}  // namespace calliope::engine
