#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/grammar_matcher.h"
#include "model/tokenizer.h"

namespace calliope::engine {

/// Which tokens may come next so that an answer follows a grammar and comes to its end in time.
class Constraint {
 public:
  Constraint(std::shared_ptr<const Grammar> grammar, const model::Tokenizer& tokenizer, std::span<const int32_t> ends)
      : tokenizer_(tokenizer), ends_(ends.begin(), ends.end()), matcher_(std::move(grammar)) {}

  /// Whether this token may come next when `tokens_left` may follow it: every byte is a token, so an answer whose shortest
  /// end has no more bytes can be completed. An end of the turn only when the answer is whole.
  bool allows(int32_t id, int64_t tokens_left);
  /// Goes on by a token that is allowed and no end.
  void take(int32_t id);
  /// Nothing may follow but the end.
  bool ended() const { return matcher_.ended(); }

 private:
  model::Tokenizer tokenizer_;
  std::vector<int32_t> ends_;
  GrammarMatcher matcher_;
  int refused_ = 0;           // since the last token
  std::bitset<256> first_;    // bytes that may come next; known after a few refusals
};

}  // namespace calliope::engine
