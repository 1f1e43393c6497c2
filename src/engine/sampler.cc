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

void Sampler::adjust(std::span<float> logits) {
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
}

int Sampler::remembered(int id) {
  if (options_.repetition_penalty != 1.0f && std::find(drawn_.begin(), drawn_.end(), id) == drawn_.end()) drawn_.push_back(id);
  return id;
}

int Sampler::pick(std::span<float> logits) {
  adjust(logits);
  return remembered(options_.temperature <= 0
                        ? static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin())
                        : draw(logits));
}

int Sampler::pick(std::span<float> logits, const Allowed& allowed) {
  adjust(logits);
  const auto best = static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const bool greedy = options_.temperature <= 0;
  if (greedy && allowed(best)) return remembered(best);

  // A heap gives them in order without sorting all.
  const auto less_likely = [&](int a, int b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x < y : a > b;
  };
  const double top = logits[static_cast<size_t>(best)];
  const auto weight = [&](int id) { return greedy ? 0.0 : std::exp((logits[static_cast<size_t>(id)] - top) / options_.temperature); };
  std::vector<int> heap(logits.size());
  std::iota(heap.begin(), heap.end(), 0);
  double unseen = 0, found = 0;
  for (const int id : heap) unseen += weight(id);
  std::make_heap(heap.begin(), heap.end(), less_likely);
  candidates_.clear();
  weights_.clear();
  for (auto end = heap.end(); end != heap.begin(); --end) {
    std::pop_heap(heap.begin(), end, less_likely);
    const int id = *(end - 1);
    const double mass = weight(id);
    unseen -= mass;
    if (!std::isfinite(logits[static_cast<size_t>(id)]) || !allowed(id)) continue;
    if (greedy) return remembered(id);
    candidates_.push_back(id);
    weights_.push_back(mass);
    found += mass;
    if (options_.top_k > 0 && candidates_.size() >= static_cast<size_t>(options_.top_k)) break;
    if (unseen < 1e-6 * found) break;
  }
  return candidates_.empty() ? -1 : remembered(draw_candidate());
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
  weights_.clear();
  for (const int id : candidates_) weights_.push_back(std::exp((logits[static_cast<size_t>(id)] - top) / options_.temperature));
  return draw_candidate();
}

// One of candidates_ by weights_, which fall.
int Sampler::draw_candidate() {
  const double total = std::accumulate(weights_.begin(), weights_.end(), 0.0);
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
