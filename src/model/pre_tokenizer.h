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
  /// A pattern as tokenizer.json has it. unsupported when it does not compile.
  static Result<PreTokenizer> compile(std::string_view pattern);

  /// The words of valid UTF-8 text, in order; together they are the text. invalid_argument when a
  /// match takes far more steps than the text has characters.
  Result<std::vector<std::string_view>> split(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace calliope::model
