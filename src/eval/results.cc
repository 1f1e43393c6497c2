#include "eval/results.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/utf8.h"
#include "eval/table.h"

namespace calliope::eval {
namespace {

namespace json = boost::json;

Outcome outcome_of(const json::object& line) {
  Outcome outcome;
  if (const auto* text = line.if_contains("output"); text && text->is_string()) outcome.text = text->get_string();
  if (const auto* letters = line.if_contains("as_letters"); letters && letters->is_bool()) outcome.chose_letter = letters->get_bool();
  if (const auto* list = line.if_contains("log_probabilities"); list && list->is_array()) {
    for (const auto& one : list->get_array()) outcome.log_probabilities.push_back(one.is_number() ? one.to_number<double>() : 0);
  }
  return outcome;
}

}  // namespace

uint64_t item_key(const Task& task, const Item& item) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    hash = (hash ^ 0xFF) * 1099511628211ull;
  };
  for (const Turn& turn : item.turns) {
    add(std::to_string(static_cast<int>(turn.role)));
    for (const Part& part : turn.parts) {
      for (const auto& text : {std::to_string(static_cast<int>(part.kind)), part.text, std::filesystem::path(part.path).filename().string(), part.bytes}) add(text);
    }
  }
  if (task.by_likelihood) {
    for (const auto& choice : item.choices) add(choice);
  } else {
    for (const auto& stop : task.stop) add(stop);
    add(fmt::format("{} {}", task.max_tokens, task.temperature));
  }
  return hash;
}

std::string Results::name_of(const std::string& model, const std::string& task, const std::string& item, uint64_t key) {
  return fmt::format("{}\n{}\n{}\n{:016x}", model, task, item, key);
}

Result<Results> Results::open(const std::string& path, bool append) {
  Results results;
  results.path_ = path;
  std::error_code ignored;
  std::string text;
  if (std::filesystem::exists(path, ignored) || !append) {
    TRY(text, slurp(path));
  }
  size_t line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row(text.data() + at, end - at);
    at = end + 1;
    ++line;
    if (row.empty()) continue;
    json::error_code error;
    const json::value value = json::parse(row, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto get = [&](const char* name) {
      const auto* found = object ? object->if_contains(name) : nullptr;
      return found && found->is_string() ? std::string(found->get_string()) : std::string();
    };
    if (!object || get("key").empty()) {
      if (end >= text.size()) {  // cut off while it was written
        text.resize(at - 1 - row.size());
        if (append) std::filesystem::resize_file(path, text.size(), ignored);
        break;
      }
      return fail(ErrorCode::invalid_argument, fmt::format("{}, line {}: no result of calliope eval", path, line), path);
    }
    results.models_.insert(get("model"));
    results.outcomes_[name_of(get("model"), get("task"), get("item"), std::strtoull(get("key").c_str(), nullptr, 16))] = outcome_of(*object);
  }
  if (!append) return results;
  results.file_.reset(std::fopen(path.c_str(), "ab"));
  if (!results.file_) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
  if (!text.empty() && text.back() != '\n') std::fputc('\n', results.file_.get());
  return results;
}

const Outcome* Results::find(const std::string& model, const Task& task, const Item& item) const {
  const auto found = outcomes_.find(name_of(model, task.name, item.id, item_key(task, item)));
  return found == outcomes_.end() ? nullptr : &found->second;
}

Result<void> Results::add(const std::string& model, const Task& task, const Item& item, Outcome outcome) {
  const uint64_t key = item_key(task, item);
  if (file_) {
    json::object line;
    line["task"] = task.name;
    line["item"] = item.id;
    line["key"] = fmt::format("{:016x}", key);
    line["model"] = model;
    if (outcome.log_probabilities.empty()) line["output"] = utf8_lossy(outcome.text);
    else line["log_probabilities"] = json::value_from(outcome.log_probabilities);
    if (outcome.chose_letter) line["as_letters"] = true;
    const std::string text = json::serialize(line) + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0) {
      return fail(ErrorCode::io, "cannot write " + path_ + ": is the disk full?", path_);
    }
  }
  models_.insert(model);
  outcomes_[name_of(model, task.name, item.id, key)] = std::move(outcome);
  return {};
}

}  // namespace calliope::eval
