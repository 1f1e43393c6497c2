#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/check.h"

namespace calliope::engine {

bool all_finite(std::span<const float> numbers) {
  return std::ranges::all_of(numbers, [](float number) { return std::isfinite(number); });
}

Error not_finite(std::string_view part) {
  return {ErrorCode::internal, "the model's " + std::string(part) +
                                   " gives numbers that are not finite: its weights are damaged; download the checkpoint again"};
}

void Sampler::suppress(int begin, int end, int but) {
  suppress_begin_ = begin;
  suppress_end_ = end;
  suppress_but_ = but;
}

void Sampler::remember(std::span<const int32_t> ids) {
  if (options_.repetition_penalty == 1.0f) return;
  drawn_.insert(drawn_.end(), ids.begin(), ids.end());
  std::sort(drawn_.begin(), drawn_.end());
  drawn_.erase(std::unique(drawn_.begin(), drawn_.end()), drawn_.end());
}

int Sampler::pick(std::span<float> logits) {
  CHECK(!logits.empty());
  if (options_.repetition_penalty != 1.0f) {
    // drawn_ holds each id once: the penalty does not grow with repetition (RepetitionPenaltyLogitsProcessor).
    for (const int id : drawn_) {
      float& logit = logits[static_cast<size_t>(id)];
      logit = logit < 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
    }
  }
  const int last = std::min(suppress_end_, static_cast<int>(logits.size()));
  for (int id = std::max(0, suppress_begin_); id < last; ++id) {
    if (id != suppress_but_) logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  }
  const int id = options_.temperature <= 0
                     ? static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin())
                     : draw(logits);
  if (options_.repetition_penalty != 1.0f && std::find(drawn_.begin(), drawn_.end(), id) == drawn_.end()) drawn_.push_back(id);
  return id;
}

int Sampler::draw(std::span<const float> logits) {
  candidates_.resize(logits.size());
  std::iota(candidates_.begin(), candidates_.end(), 0);
  const auto likelier = [&](int a, int b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const size_t keep = options_.top_k > 0 ? std::min(candidates_.size(), static_cast<size_t>(options_.top_k)) : candidates_.size();
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(keep), candidates_.end(), likelier);
  candidates_.resize(keep);

  const double top = logits[static_cast<size_t>(candidates_[0])];
  double total = 0;
  weights_.clear();
  for (const int id : candidates_) {
    weights_.push_back(std::exp((logits[static_cast<size_t>(id)] - top) / options_.temperature));
    total += weights_.back();
  }
  // The smallest set of the likeliest tokens whose probability reaches top_p.
  double sum = 0;
  size_t kept = 0;
  while (kept < weights_.size() && (kept == 0 || sum < options_.top_p * total)) sum += weights_[kept++];

  double point = std::uniform_real_distribution<double>(0.0, sum)(random_);
  for (size_t i = 0; i < kept; ++i) {
    point -= weights_[i];
    if (point < 0) return candidates_[i];
  }
  return candidates_[kept - 1];
}

}  // namespace calliope::engine
