#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::model::jinja {

enum class TokenKind {
  text,
  begin_output,
  end_output,
  begin_block,
  end_block,
  name,
  string,
  integer,
  real,
  symbol,
  end
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;
  int line = 1;
};

/// Cuts a template into tokens; whitespace control and comments are done here. invalid_argument with the line.
Result<std::vector<Token>> lex_template(std::string_view source);

}  // namespace calliope::model::jinja
