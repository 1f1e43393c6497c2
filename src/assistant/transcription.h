#pragma once

#include <string>

namespace calliope::assistant {

/// How a model is asked to write down what is said, and how much it takes at once.
struct TranscriptionStyle {
  /// What stands after the sound. {language} and {prompt} are what the caller says of the sound, or nothing; a model
  /// that can do nothing with them has a question without them.
  std::string question = "Transcribe the {language} audio into text. {prompt}";
  int most_seconds = 30;  ///< longer sounds are cut at silences
};

}  // namespace calliope::assistant
