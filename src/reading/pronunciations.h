#pragma once

#include <string>
#include <string_view>

#include "reading/spoken_text.h"

namespace calliope::reading {

/// Lines of "word sounds", by the bytes of the word, which is in small letters: pronunciations.txt, made by
/// training/voice/pronunciations.py, which says how sounds are written.
std::string_view pronunciation_lines();

/// How a word sounds ("enough": "inxf"), whatever its capitals; of a possessive it is enough to know the word before
/// it. Empty when it is not known.
std::string pronunciation(std::string_view word);

/// English text with its words as they sound, for a talker that learned this spelling. Words of which it is not known
/// stay, and so does all between words. Any bytes; what a word's sounds say counts when the last of them is over.
SpokenText spelled_as_said(std::string_view text);

}  // namespace calliope::reading
