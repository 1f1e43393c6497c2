#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/text_stage.h"
#include "model/model.h"

namespace calliope::engine {

/// Request::choices on their way to Scored: the tokens of each, encoded on its own and without the end of a turn, and the
/// log-probabilities so far.
class Scoring {
 public:
  /// invalid_argument when a choice is empty.
  static Result<Scoring> make(const model::Tokenizer& tokenizer, std::span<const std::string> choices);

  bool done() const { return choice_ == choices_.size(); }
  /// Tokens of the longest choice.
  int64_t longest() const;
  const std::vector<double>& log_probabilities() const { return log_probabilities_; }

 private:
  friend class ScoreStage;
  void skip_short();

  std::vector<std::vector<int32_t>> choices_;
  std::vector<double> log_probabilities_;
  size_t choice_ = 0;  // the one being run
  size_t run_ = 0;     // tokens of it that are run
  bool begun_ = false;
};

/// Scores choices of many sessions together: first all first tokens, which the prompt's last row foretells, then one pass a
/// round for the rest of a choice of each. A choice is run after the prompt and forgotten, so the prompt's pages serve all.
/// Numbers do not depend on who else is scored.
class ScoreStage {
 public:
  explicit ScoreStage(const model::Model& model) : model_(model) {}

  /// `text` has run its prompt.
  struct Job {
    TextSequence* text = nullptr;
    Scoring* scoring = nullptr;
  };
  /// One round: at most `most_rows` rows, the first jobs first.
  Result<void> run(std::span<const Job> jobs, int64_t most_rows);

 private:
  Result<void> begin(const Job& job);
  Result<void> add_scores(std::span<const Job> jobs, std::span<const int64_t> rows);

  const model::Model& model_;
  model::DecoderScratch scratch_;
  tensor::Tensor x_, hidden_, logits_;
  model::Positions positions_;
  std::vector<int32_t> ids_;
  std::vector<model::SequenceRows> sequences_;
  std::vector<int64_t> rows_;
};

}  // namespace calliope::engine
