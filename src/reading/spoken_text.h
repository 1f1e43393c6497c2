#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace calliope::reading {

/// A text as it is said, and where its parts come from.
struct SpokenText {
  std::string text;
  /// A stretch of `text` and the stretch of the original that it says. Both follow one another without gaps.
  struct Span {
    size_t text_end = 0;
    size_t source_end = 0;
    bool verbatim = false;  ///< byte by byte
  };
  std::vector<Span> spans;

  /// How many bytes of the original have been said when the first `text_bytes` of `text` have been. What is said in
  /// other words counts when the last of them is over.
  size_t source_bytes(size_t text_bytes) const;
};

/// English text in the words that people say: numbers, sums, dates, times, money, units, abbreviations, initialisms,
/// phone numbers and addresses written out, markup and symbols that are not said left out. Any bytes; takes time and
/// memory linear in their number. Letters of other languages stay.
SpokenText spoken_text(std::string_view text);

/// The text as it is.
SpokenText verbatim_text(std::string_view text);

}  // namespace calliope::reading
