#pragma once

#include <string>
#include <string_view>

#include "assistant/transcription.h"

namespace calliope::hearing {

/// The English name of a language by its ISO-639-1 code; what is no such code, or none of the common ones, as it is.
std::string_view language_name(std::string_view code);

/// What is asked beside a sound to get its transcript. `language`: a code or a name, may be empty, as may be `prompt`.
std::string transcription_question(const assistant::TranscriptionStyle& style, std::string_view language,
                                   std::string_view prompt);

}  // namespace calliope::hearing
