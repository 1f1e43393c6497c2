#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace calliope::engine {

/// An answer that is being written, on its way to a talker that reads words as they sound (talker_reads_sounds): word by
/// word, as soon as it is known that a word is over, its tokens give way to those of its sounds. Where there are figures,
/// what follows them says how they are read, so that they wait for the end of the clause (talker_reads_words).
class SpokenSpelling {
 public:
  explicit SpokenSpelling(const model::Model& model) : model_(model) {}

  /// Tokens that the talker takes, and the text of the answer that they say; without tokens it is not said.
  struct Piece {
    std::vector<int32_t> tokens;
    std::string text;
  };
  /// The text that the answer's next token gives; returns what is over by now.
  std::vector<Piece> push(std::string_view text);
  /// Nothing more comes for now: returns what is left.
  std::vector<Piece> finish();

 private:
  size_t over() const;
  std::vector<Piece> say(std::string_view text);
  std::vector<int32_t> tokens_of(std::string_view words);

  const model::Model& model_;
  std::string waiting_;
  bool begun_ = false;
};

}  // namespace calliope::engine
