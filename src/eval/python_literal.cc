#include "eval/python_literal.h"

#include <boost/json.hpp>

namespace calliope::eval {

Result<std::vector<std::string>> python_strings(std::string_view text) {
  const auto wrong = [&] { return fail(ErrorCode::invalid_argument, "no list of strings: " + std::string(text.substr(0, 100))); };
  const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  if (begin == std::string_view::npos || text[begin] != '[' || text[end] != ']') return wrong();
  std::vector<std::string> out;
  size_t at = begin + 1;
  const auto skip = [&] { at = std::min(text.find_first_not_of(" \t\r\n", at), end); };
  for (skip(); at < end; skip()) {
    std::string one;
    const char quote = text[at];
    if (quote == '\'' || quote == '"') {
      for (++at; at < end && text[at] != quote; ++at) {
        if (text[at] != '\\') {
          one += text[at];
        } else if (++at < end) {
          one += text[at] == 'n' ? '\n' : text[at] == 't' ? '\t' : text[at];
        }
      }
      if (at++ >= end) return wrong();
    } else {
      while (at < end && text[at] != ',') one += text[at++];
      while (one.ends_with(' ')) one.pop_back();
      boost::json::error_code error;
      boost::json::parse(one, error);
      if (error && one != "True" && one != "False" && one != "None") return wrong();
    }
    out.push_back(std::move(one));
    skip();
    if (at < end && text[at++] != ',') return wrong();
  }
  return out;
}

}  // namespace calliope::eval
