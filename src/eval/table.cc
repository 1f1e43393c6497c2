#include "eval/table.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace calliope::eval {

Result<std::string> slurp(const std::string& path) {
  constexpr std::streamoff kMost = std::streamoff{4} << 30;
  std::error_code ignored;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || !std::filesystem::is_regular_file(path, ignored)) return fail(ErrorCode::io, "cannot read " + path + ": is it there, and a file?", path);
  const std::streamoff size = file.tellg();
  if (size > kMost) return fail(ErrorCode::too_large, path + " is larger than 4 GiB", path);
  std::string text(static_cast<size_t>(size), '\0');
  file.seekg(0);
  file.read(text.data(), size);
  if (!file) return fail(ErrorCode::io, "cannot read " + path, path);
  return text;
}

std::string beside(const std::string& from, const std::string& path) {
  const std::filesystem::path named(path);
  return named.is_absolute() ? path : (std::filesystem::path(from).parent_path() / named).string();
}

int Table::column(std::string_view name) const {
  const auto found = std::ranges::find(columns, name);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

const std::string& Table::cell(size_t row, std::string_view name) const {
  static const std::string kNone;
  const int index = column(name);
  return index < 0 ? kNone : rows[row][static_cast<size_t>(index)];
}

Result<Table> Table::parse(std::string_view text, char delimiter) {
  Table table;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  size_t at = 0, line = 1;
  while (at < text.size()) {
    const size_t first_line = line;
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (bool ended = false; !ended;) {
      if (at >= text.size()) {
        if (quoted) return fail(ErrorCode::invalid_argument, "line " + std::to_string(first_line) + ": a quoted field is not closed");
        break;
      }
      const char c = text[at++];
      if (c == '\n') ++line;
      if (quoted) {
        if (c != '"') fields.back() += c;
        else if (at < text.size() && text[at] == '"') fields.back() += text[at++];
        else quoted = false;
      } else if (c == '"' && fields.back().empty()) {
        quoted = true;
      } else if (c == delimiter) {
        fields.emplace_back();
      } else if (c == '\n') {
        ended = true;
      } else if (c != '\r' || (at < text.size() && text[at] != '\n')) {
        fields.back() += c;
      }
    }
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(fields);
      continue;
    }
    if (fields.size() > table.columns.size()) {
      return fail(ErrorCode::invalid_argument, "line " + std::to_string(first_line) + " has " + std::to_string(fields.size()) +
                                                   " fields, the header " + std::to_string(table.columns.size()));
    }
    fields.resize(table.columns.size());
    table.rows.push_back(std::move(fields));
  }
  if (table.rows.empty()) return fail(ErrorCode::invalid_argument, "there is no row below a header");
  return table;
}

}  // namespace calliope::eval
