#include "realtime/heard.h"

#include <algorithm>

namespace calliope::realtime {

Heard heard(std::string_view text, std::span<const assistant::SpokenMark> marks, int64_t cut, int64_t all) {
  if (cut <= 0) return {};
  if (!marks.empty()) {
    const auto after = std::ranges::upper_bound(marks, cut, {}, &assistant::SpokenMark::samples);
    if (after == marks.begin()) return {};
    const auto& last = *(after - 1);
    return {.text_bytes = std::min(last.text_bytes, text.size()), .samples = last.samples};
  }
  if (cut >= all) return {.text_bytes = text.size(), .samples = all};
  const auto reached =
      static_cast<size_t>(static_cast<double>(text.size()) * static_cast<double>(cut) / static_cast<double>(all));
  // Back to the end of a whole word.
  size_t end = reached;
  if (end < text.size() && text[end] != ' ') {
    const size_t space = text.rfind(' ', end);
    end = space == std::string_view::npos ? 0 : space;
  }
  return {.text_bytes = end, .samples = cut};
}

}  // namespace calliope::realtime
