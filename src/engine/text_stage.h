#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/prefix_cache.h"
#include "engine/prompt.h"
#include "model/model.h"

namespace calliope::engine {

/// One session's sequence in the thinker: its prompt, what has been run of it, and what comes next.
struct TextSequence {
  Prompt prompt;
  model::DecoderState state;
  int64_t prefilled = 0;             ///< rows of the prompt that are run
  int64_t found = 0;                 ///< of them, those that the prefix cache had
  int64_t next_position = 0;
  std::optional<int32_t> token;      ///< drawn, and to be run next
  std::vector<float> hidden;         ///< [D]: output for the last row that was run
  std::vector<float> media_hidden;   ///< accept-layer hidden states of the prompt's media rows, as they come

  // What the prefix cache knows of it.
  std::vector<TokenMark> marks;  ///< of every row that is or will be run; none: not to be shared
  std::vector<uint64_t> kept;    ///< names of its first pages
  int64_t media_kept = 0;        ///< media rows in those pages
  bool looked_up = false;

  int64_t rows_left() const { return prompt.size() - prefilled; }
  bool prefilling() const { return rows_left() > 0; }
};

/// The thinker's part of a round, for all sessions together. Each sequence's numbers are those it would have alone, bit
/// for bit.
class TextStage {
 public:
  /// Without a cache nothing is shared.
  TextStage(const model::Model& model, PrefixCache* cache) : model_(model), cache_(cache) {}

  /// What each of them may draw its next token from: [B, vocabulary], valid until the next call.
  tensor::Rows logits(std::span<TextSequence* const> sequences);

  /// Goes on with another prompt. What has been run stays as far as both agree, the last row of a whole prompt
  /// excepted.
  void replace_prompt(TextSequence& sequence, Prompt prompt) const;

  /// The next rows of a prompt.
  struct PromptPiece {
    TextSequence* sequence = nullptr;
    int64_t rows = 0;
  };
  /// To be asked before a piece of a prompt is added to a pass: finds what the prefix cache knows of it. False when it has to
  /// wait for another pass: it begins as one of the others does, or both have pictures.
  bool begin_piece(TextSequence& sequence, std::span<const PromptPiece> beside) const;

  /// One pass for the tokens drawn by `decoding` (one each) and pieces of prompts.
  void run(std::span<TextSequence* const> decoding, std::span<const PromptPiece> pieces);

 private:
  int64_t add_prompt_rows(const PromptPiece& piece, int64_t row);
  void add_tokens(std::span<TextSequence* const> decoding, int64_t first_row);
  int64_t take_prompt_rows(const PromptPiece& piece, int64_t first);
  void look_up(TextSequence& sequence) const;
  void keep_pages(TextSequence& sequence) const;
  int64_t media_rows(const Prompt& prompt, int64_t begin, int64_t end) const;

  const model::Model& model_;
  PrefixCache* cache_;
  // The batch being built and its buffers.
  model::DecoderScratch scratch_;
  tensor::Tensor x_, hidden_, logits_, accept_;
  model::Positions positions_;
  std::vector<int32_t> ids_;
  std::vector<model::SequenceRows> sequences_;
  std::vector<int64_t> visual_rows_;
  std::vector<tensor::ConstRows> deepstack_;
  bool media_ = false;
};

}  // namespace calliope::engine
