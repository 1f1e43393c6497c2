#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::engine {

/// Whether a model's numbers can be used at all: damaged weights give NaN and infinities.
bool all_finite(std::span<const float> numbers);
/// What to tell when they cannot; `part` of the checkpoint made them.
Error not_finite(std::string_view part);

/// How one stream of tokens is drawn. temperature 0 is greedy; top_k 0 and top_p 1 switch those limits off.
struct SamplerOptions {
  float temperature = 0.0f;
  int top_k = 0;
  float top_p = 1.0f;
  float repetition_penalty = 1.0f;
};

/// Draws tokens from logits in the order of transformers' processors: repetition penalty over what was drawn before,
/// suppressed ids, temperature, top-k, top-p.
class Sampler {
 public:
  Sampler(const SamplerOptions& options, uint64_t seed) : options_(options), random_(seed) {}

  /// Ids in [begin, end) other than `but` are never drawn.
  void suppress(int begin, int end, int but);

  /// Counts these as drawn: transformers' repetition penalty looks at the prompt as well.
  void remember(std::span<const int32_t> ids);

  /// Picks a token and remembers it. logits [vocabulary], all_finite, is changed in place. Among equals the lowest id wins.
  int pick(std::span<float> logits);

  /// The same among the tokens that are allowed; -1 when none is. `allowed` is asked in the order of probability, as often
  /// as it takes: greedily until one is allowed, else until the limits are reached or hardly any probability (1e-6 of what
  /// was found) is left.
  using Allowed = std::function<bool(int)>;
  int pick(std::span<float> logits, const Allowed& allowed);

 private:
  void adjust(std::span<float> logits);
  int remembered(int id);
  int draw(std::span<const float> logits);
  int draw_candidate();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<int> drawn_;
  std::vector<int> candidates_;
  std::vector<double> weights_;
  int suppress_begin_ = 0, suppress_end_ = 0, suppress_but_ = -1;
};

}  // namespace calliope::engine
