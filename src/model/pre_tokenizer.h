#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::model {

/// Splits text into words by a regular expression, matches and what lies between them alike ("isolated").
class PreTokenizer {
 public:
  /// invalid_argument when the pattern does not compile.
  static Result<PreTokenizer> compile(std::string_view pattern);

  /// The words of valid UTF-8 text, in order; together they are the text. invalid_argument when matching gives up.
  Result<std::vector<std::string_view>> split(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

/// Canonical composition (NFC) of valid UTF-8.
std::string normalize_nfc(std::string_view text);

}  // namespace calliope::model
