#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace calliope::reading {

/// A stretch of a text that is spoken in one breath, and the silence after it.
struct Passage {
  size_t begin = 0, end = 0;  ///< bytes
  double pause_s = 0;         ///< 0 after the last
};

/// Cuts a text where one pauses: between paragraphs, between sentences, and where a sentence is longer than
/// `most_characters` at its commas, else between words. At most so many sentences (0: any number) go together as far as
/// they fit. What nothing can be said of is left out. Any bytes; never cuts inside a UTF-8 character.
std::vector<Passage> passages(std::string_view text, size_t most_characters, size_t most_sentences = 0);

/// There is a letter, a digit or a character of another script.
bool can_be_said(std::string_view text);

}  // namespace calliope::reading
