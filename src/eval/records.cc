#include "eval/records.h"

#include <charconv>
#include <filesystem>

#include "eval/table.h"
#include "model/template_json.h"

namespace calliope::eval {
namespace {

using model::jinja::Value;

template <class T>
bool read_number(const std::string& cell, T& number) {
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  return error == std::errc() && end == cell.data() + cell.size();
}

std::vector<Value> records_of(const Table& table) {
  std::vector<model::jinja::Dict> dicts(table.rows.size());
  for (size_t column = 0; column < table.columns.size(); ++column) {
    bool whole = true, number = true;
    for (const auto& row : table.rows) {
      int64_t i = 0;
      double d = 0;
      whole = whole && read_number(row[column], i);
      number = number && read_number(row[column], d);
    }
    for (size_t row = 0; row < table.rows.size(); ++row) {
      const std::string& cell = table.rows[row][column];
      int64_t i = 0;
      double d = 0;
      if (whole) read_number(cell, i);
      else if (number) read_number(cell, d);
      dicts[row].emplace_back(table.columns[column], whole ? Value(i) : number ? Value(d) : Value(cell));
    }
  }
  return {std::make_move_iterator(dicts.begin()), std::make_move_iterator(dicts.end())};
}

}  // namespace

Result<std::vector<Value>> read_records(const std::string& path) {
  TRY(const std::string text, slurp(path));
  const std::string extension = std::filesystem::path(path).extension();
  const auto wrong = [&](const Error& error) { return fail(error.code, path + ": " + error.message, path); };
  if (extension == ".csv" || extension == ".tsv") {
    const auto table = Table::parse(text, extension == ".csv" ? ',' : '\t');
    if (!table) return wrong(table.error());
    return records_of(*table);
  }
  std::vector<Value> records;
  if (extension == ".json" && text.find_first_not_of(" \t\r\n") == text.find('[')) {
    const auto list = model::jinja::from_json(text);
    if (!list) return wrong(list.error());
    records = *list->list();
  } else {
    size_t line = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view row(text.data() + at, end - at);
      at = end + 1;
      ++line;
      if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      auto value = model::jinja::from_json(row);
      if (!value) return wrong({value.error().code, "line " + std::to_string(line) + ": " + value.error().message});
      records.push_back(std::move(*value));
    }
  }
  for (const Value& record : records) {
    if (!record.dict()) return wrong({ErrorCode::invalid_argument, "a record is no object"});
  }
  if (records.empty()) return wrong({ErrorCode::invalid_argument, "there is no record in it"});
  return records;
}

}  // namespace calliope::eval
