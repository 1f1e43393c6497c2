#include "engine/constraint.h"

#include <algorithm>

#include "base/check.h"

namespace calliope::engine {
namespace {

constexpr int kRefusals = 8;  // before looking at single bytes pays

}  // namespace

bool Constraint::allows(int32_t id, int64_t tokens_left) {
  if (std::ranges::find(ends_, id) != ends_.end()) return matcher_.complete();
  const std::string_view bytes = tokenizer_.bytes(id, true);
  if (bytes.empty() || (refused_ >= kRefusals && !first_[static_cast<unsigned char>(bytes[0])])) return false;
  GrammarMatcher next = matcher_;
  if (next.push(bytes) && next.least_bytes_left() <= tokens_left) return true;
  if (++refused_ == kRefusals) {
    for (int byte = 0; byte < 256; ++byte) first_[static_cast<size_t>(byte)] = GrammarMatcher(matcher_).push(static_cast<unsigned char>(byte));
  }
  return false;
}

void Constraint::take(int32_t id) {
  CHECK(matcher_.push(tokenizer_.bytes(id, true)));
  refused_ = 0;
}

}  // namespace calliope::engine
