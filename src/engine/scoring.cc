#include "engine/scoring.h"

#include <algorithm>
#include <cmath>

#include "engine/sampler.h"

namespace calliope::engine {
namespace {

constexpr int64_t kLogitRows = 16;  // of one product with the head: a vocabulary can be large

// log of the sum of exp(logits).
double log_sum(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

}  // namespace

Result<Scoring> Scoring::make(const model::Tokenizer& tokenizer, std::span<const std::string> choices) {
  Scoring scoring;
  for (const std::string& choice : choices) {
    TRY(auto ids, tokenizer.encode(choice, false));
    if (ids.empty()) return fail(ErrorCode::invalid_argument, "a choice is empty: each needs at least one character", "choices");
    scoring.choices_.push_back(std::move(ids));
  }
  scoring.log_probabilities_.resize(scoring.choices_.size());
  return scoring;
}

int64_t Scoring::longest() const {
  size_t most = 0;
  for (const auto& ids : choices_) most = std::max(most, ids.size());
  return static_cast<int64_t>(most);
}

// Choices of one token have nothing to run.
void Scoring::skip_short() {
  while (choice_ < choices_.size() && choices_[choice_].size() == 1) ++choice_;
}

Result<void> ScoreStage::begin(const Job& job) {
  const model::DecoderConfig& config = model_.thinker.config();
  hidden_.resize({1, config.hidden_size});
  logits_.resize({1, config.vocab_size});
  std::ranges::copy(job.text->hidden, hidden_.rows().row(0));
  model_.thinker.logits(hidden_.rows(), logits_.rows());
  const std::span<const float> logits = logits_.span();
  if (!all_finite(logits)) return std::unexpected(not_finite("thinker"));
  Scoring& scoring = *job.scoring;
  const double whole = log_sum(logits);
  for (size_t i = 0; i < scoring.choices_.size(); ++i) {
    scoring.log_probabilities_[i] = double(logits[static_cast<size_t>(scoring.choices_[i][0])]) - whole;
  }
  scoring.begun_ = true;
  scoring.skip_short();
  return {};
}

Result<void> ScoreStage::run(std::span<const Job> jobs, int64_t most_rows) {
  positions_.clear();
  ids_.clear();
  sequences_.clear();
  rows_.clear();
  for (const Job& job : jobs) {
    Scoring& scoring = *job.scoring;
    if (!scoring.begun_) TRY_VOID(begin(job));
    const int64_t room = most_rows - static_cast<int64_t>(ids_.size());
    const int64_t left = scoring.done() ? 0 : static_cast<int64_t>(scoring.choices_[scoring.choice_].size() - 1 - scoring.run_);
    const int64_t rows = std::min(room, left);
    rows_.push_back(rows);
    if (rows == 0) continue;
    const auto first = scoring.choices_[scoring.choice_].begin() + static_cast<std::ptrdiff_t>(scoring.run_);
    ids_.insert(ids_.end(), first, first + rows);
    for (int64_t row = 0; row < rows; ++row) positions_.push(job.text->next_position + static_cast<int64_t>(scoring.run_) + row);
    sequences_.push_back({&job.text->state, rows});
  }
  if (ids_.empty()) return {};
  x_.resize({static_cast<int64_t>(ids_.size()), model_.thinker.config().hidden_size});
  model_.thinker.embed(ids_, x_.rows());
  model_.thinker.forward({.embeds = x_.rows(), .positions = &positions_}, sequences_, scratch_);
  return add_scores(jobs, rows_);
}

// Row t of a choice foretells its token t + 1.
Result<void> ScoreStage::add_scores(std::span<const Job> jobs, std::span<const int64_t> rows) {
  const model::DecoderConfig& config = model_.thinker.config();
  int64_t at = 0;
  for (size_t j = 0; j < jobs.size(); ++j) {
    if (rows[j] == 0) continue;
    Scoring& scoring = *jobs[j].scoring;
    const auto& ids = scoring.choices_[scoring.choice_];
    for (int64_t begin = 0; begin < rows[j]; begin += kLogitRows) {
      const int64_t count = std::min(kLogitRows, rows[j] - begin);
      logits_.resize({count, config.vocab_size});
      model_.thinker.logits(x_.rows().slice(at + begin, count), logits_.rows());
      if (!all_finite(logits_.span())) return std::unexpected(not_finite("thinker"));
      for (int64_t row = 0; row < count; ++row) {
        const std::span<const float> logits(logits_.rows().row(row), static_cast<size_t>(config.vocab_size));
        const auto next = static_cast<size_t>(ids[scoring.run_ + static_cast<size_t>(begin + row) + 1]);
        scoring.log_probabilities_[scoring.choice_] += double(logits[next]) - log_sum(logits);
      }
    }
    at += rows[j];
    scoring.run_ += static_cast<size_t>(rows[j]);
    if (scoring.run_ + 1 < ids.size()) continue;
    jobs[j].text->state.truncate(jobs[j].text->prompt.size());
    scoring.run_ = 0;
    ++scoring.choice_;
    scoring.skip_short();
  }
  return {};
}

}  // namespace calliope::engine
