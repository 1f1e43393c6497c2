// VLMEvalKit's TSV: index, image (base64, or the index of another row with the same picture), question, hint, A, B, C, ...,
// answer; prompts as its ImageMCQDataset and ImageVQADataset build them.
#include <filesystem>
#include <map>

#include "eval/python_literal.h"
#include "eval/table.h"
#include "eval/task.h"
#include "media/base64.h"

namespace calliope::eval {
namespace {

bool blank(const std::string& cell) { return cell.empty() || cell == "nan"; }

Result<std::vector<std::string>> pictures(const Table& table, size_t row, const std::map<std::string, size_t>& rows) {
  std::string cell = table.cell(row, "image");
  // A short cell names the row that has the picture.
  if (cell.size() <= 64) {
    if (const auto other = rows.find(cell); other != rows.end() && other->second != row) cell = table.cell(other->second, "image");
  }
  std::vector<std::string> encoded = {cell};
  if (cell.starts_with('[')) {
    TRY(encoded, python_strings(cell));
  }
  std::vector<std::string> out;
  for (const std::string& one : encoded) {
    auto bytes = media::decode_base64(one);
    if (!bytes) return std::unexpected(bytes.error());
    out.emplace_back(bytes->begin(), bytes->end());
  }
  return out;
}

}  // namespace

Result<Task> read_vlmeval_task(const std::string& path) {
  TRY(const std::string text, slurp(path));
  auto parsed = Table::parse(text, '\t');
  if (!parsed) return fail(parsed.error().code, path + ": " + parsed.error().message, path);
  const Table& table = *parsed;
  for (const char* needed : {"index", "question", "answer"}) {
    if (table.column(needed) < 0) return fail(ErrorCode::invalid_argument, path + ": there is no column '" + needed + "', which VLMEvalKit's files have", path);
  }
  std::map<std::string, size_t> rows;
  for (size_t row = 0; row < table.rows.size(); ++row) rows.emplace(table.cell(row, "index"), row);
  const bool choices = table.column("A") >= 0 && table.column("B") >= 0;
  Task task{.name = std::filesystem::path(path).stem().string()};
  if (choices) task.metrics = {{.name = "accuracy", .rule = Rule::letter}};
  else task.metrics = {{.name = "loose", .rule = Rule::loose}};
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const auto at = [&](const std::string& what) {
      return fail(ErrorCode::invalid_argument, path + ", index " + table.cell(row, "index") + ": " + what, path);
    };
    Item item{.id = table.cell(row, "index"), .turns = {{}}};
    auto& parts = item.turns[0].parts;
    if (!blank(table.cell(row, "image"))) {
      auto images = pictures(table, row, rows);
      if (!images) return at("the picture is " + images.error().message);
      for (auto& bytes : *images) parts.push_back({.kind = Part::Kind::image, .bytes = std::move(bytes)});
    } else if (!blank(table.cell(row, "image_path"))) {
      parts.push_back({.kind = Part::Kind::image, .path = beside(path, table.cell(row, "image_path"))});
    }
    const std::string &question = table.cell(row, "question"), &hint = table.cell(row, "hint"), &answer = table.cell(row, "answer");
    if (!choices) {
      parts.push_back({.text = question});
      item.answers = {answer};
    } else {
      std::string options, prompt = blank(hint) ? "" : "Hint: " + hint + "\n";
      for (char letter = 'A'; letter <= 'Z'; ++letter) {
        const std::string name(1, letter);
        if (table.column(name) < 0 || blank(table.cell(row, name))) break;
        item.choices.push_back(table.cell(row, name));
        options += name + ". " + item.choices.back() + "\n";
      }
      prompt += "Question: " + question + "\n";
      if (!options.empty()) prompt += "Options:\n" + options + "Please select the correct answer from the options above. \n";
      parts.push_back({.text = prompt});
      item.right = answer.size() == 1 ? answer[0] - 'A' : -1;
      if (item.right < 0 || item.right >= static_cast<int>(item.choices.size())) return at("the answer '" + answer + "' is none of the options");
      item.answers = {answer};
    }
    task.items.push_back(std::move(item));
  }
  return task;
}

}  // namespace calliope::eval
