#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::eval {

/// The whole of a file, at most 4 GiB. io with the path.
Result<std::string> slurp(const std::string& path);
/// `path` as seen from the folder of `from`, unless it is absolute.
std::string beside(const std::string& from, const std::string& path);

/// A delimited file with a header line: fields may be in double quotes, with doubled quotes and line breaks inside (RFC 4180;
/// what pandas writes).
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  /// -1 when there is none.
  int column(std::string_view name) const;
  /// Empty when there is no such column.
  const std::string& cell(size_t row, std::string_view name) const;

  /// invalid_argument with the line when a row has more fields than the header, or a quote is not closed.
  static Result<Table> parse(std::string_view text, char delimiter);
};

}  // namespace calliope::eval
