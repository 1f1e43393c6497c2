#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::eval {

/// A regular expression (PCRE, UTF-8), with limits on what a hostile one may cost.
class Pattern {
 public:
  static Result<Pattern> compile(const std::string& source);

  /// Whether it matches somewhere.
  bool in(std::string_view text) const { return !matches(text, 1).empty(); }
  /// As Python's findall: of every match the first group that took part, or all of it when there is none.
  std::vector<std::string> find_all(std::string_view text) const { return matches(text, 10'000); }
  /// The text without its matches.
  std::string without(std::string_view text) const;

 private:
  struct Span {
    size_t begin, end;
    std::string taken;
  };
  std::vector<Span> spans(std::string_view text, size_t most) const;
  std::vector<std::string> matches(std::string_view text, size_t most) const;
  std::shared_ptr<void> code_;
};

}  // namespace calliope::eval
