// JSONL: one question a line. The first line may be {"task": {...}} with what holds for all.
#include <boost/json.hpp>
#include <filesystem>

#include "eval/table.h"
#include "eval/task.h"

namespace calliope::eval {
namespace {

namespace json = boost::json;

std::unexpected<Error> wrong(const std::string& place, const std::string& what) {
  return fail(ErrorCode::invalid_argument, place + ": " + what, place);
}

// A string, or a list of them; numbers and objects as JSON writes them.
Result<std::vector<std::string>> texts(const json::object& object, const char* name, const std::string& place) {
  std::vector<std::string> result;
  const auto* value = object.if_contains(name);
  if (!value || value->is_null()) return result;
  const auto add = [&](const json::value& one) { result.push_back(one.is_string() ? std::string(one.get_string()) : json::serialize(one)); };
  if (value->is_array()) {
    for (const auto& one : value->get_array()) add(one);
    if (result.empty()) return wrong(place, std::string("'") + name + "' is an empty list");
  } else {
    add(*value);
  }
  return result;
}

Result<Turn> turn_of(const json::object& object, assistant::Role role, const std::string& path, const std::string& place) {
  Turn turn{role, {}};
  for (const auto& [name, kind] : {std::pair{"image", Part::Kind::image}, std::pair{"audio", Part::Kind::sound}}) {
    TRY(const auto files, texts(object, name, place));
    for (const auto& file : files) turn.parts.push_back({.kind = kind, .path = beside(path, file)});
  }
  TRY(const auto said, texts(object, "text", place));
  for (const auto& text : said) turn.parts.push_back({.text = text});
  if (turn.parts.empty()) return wrong(place, "there is nothing to ask: give 'text', 'image' or 'audio'");
  return turn;
}

Result<std::vector<Turn>> turns_of(const json::object& object, const std::string& system, const std::string& path, const std::string& place) {
  std::vector<Turn> turns;
  if (!system.empty()) turns.push_back({assistant::Role::system, {{.text = system}}});
  if (const auto* history = object.if_contains("turns")) {
    if (!history->is_array()) return wrong(place, "'turns' is no list");
    for (const auto& one : history->get_array()) {
      const auto* said = one.if_object();
      const auto* role = said ? said->if_contains("role") : nullptr;
      if (!role || (*role != json::value("user") && *role != json::value("assistant"))) {
        return wrong(place, "an entry of 'turns' needs a 'role', user or assistant");
      }
      TRY(Turn turn, turn_of(*said, *role == json::value("user") ? assistant::Role::user : assistant::Role::assistant, path, place));
      turns.push_back(std::move(turn));
    }
  }
  TRY(Turn last, turn_of(object, assistant::Role::user, path, place));
  turns.push_back(std::move(last));
  return turns;
}

Result<void> read_head(const json::value& value, Task& task, std::string& system, const std::string& place) {
  const auto* head = value.if_object();
  if (!head) return wrong(place, "'task' is no object");
  for (const auto& member : *head) {
    const std::string_view key(member.key().data(), member.key().size());
    const json::value& setting = member.value();
    if (key == "name" && setting.is_string()) task.name = setting.get_string();
    else if (key == "system" && setting.is_string()) system = setting.get_string();
    else if (key == "max_tokens" && setting.is_int64() && setting.get_int64() > 0 && setting.get_int64() < (1 << 20)) task.max_tokens = static_cast<int>(setting.get_int64());
    else if (key == "rule" && setting.is_string()) {
      auto rule = rule_named(std::string(setting.get_string()));
      if (!rule) return wrong(place, rule.error().message);
      task.metrics = {{.name = std::string(setting.get_string()), .rule = *rule}};
      if (*rule == Rule::wer) task.metrics.push_back({.name = "all words", .rule = Rule::words});
    } else return wrong(place, "'" + std::string(key) + "' of 'task' is not known or of the wrong type: known are name, rule, max_tokens and system");
  }
  return {};
}

Result<Item> item_of(const json::object& object, const Task& task, const std::string& system, const std::string& path, const std::string& place) {
  Item item;
  TRY(const auto ids, texts(object, "id", place));
  item.id = ids.empty() ? std::to_string(task.items.size()) : ids[0];
  TRY(item.turns, turns_of(object, system, path, place));
  TRY(item.answers, texts(object, "answer", place));
  TRY(const auto group, texts(object, "group", place));
  if (!group.empty()) item.group = group[0];
  TRY(item.choices, texts(object, "choices", place));
  if (item.answers.empty()) return wrong(place, "there is no 'answer'");
  if (item.choices.empty()) return item;
  for (size_t i = 0; i < item.choices.size(); ++i) {
    if (item.choices[i] == item.answers[0]) item.right = static_cast<int>(i);
  }
  if (item.right < 0) return wrong(place, "'answer' is none of the 'choices'");
  return item;
}

}  // namespace

Result<Task> read_jsonl_task(const std::string& path) {
  TRY(const std::string text, slurp(path));
  Task task{.name = std::filesystem::path(path).stem().string(), .metrics = {{.name = "exact"}}};
  std::string system;
  size_t line = 0, with_choices = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row(text.data() + at, end - at);
    at = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = path + ", line " + std::to_string(line);
    json::error_code error;
    const json::value value = json::parse(row, error);
    if (error) return wrong(place, "no JSON: " + error.message());
    const auto* object = value.if_object();
    if (!object) return wrong(place, "a line is one JSON object");
    if (const auto* head = object->if_contains("task"); head && task.items.empty()) {
      TRY_VOID(read_head(*head, task, system, place));
      continue;
    }
    TRY(Item item, item_of(*object, task, system, path, place));
    with_choices += !item.choices.empty();
    task.items.push_back(std::move(item));
  }
  if (task.items.empty()) return wrong(path, "there is no question in it");
  if (with_choices != 0 && with_choices != task.items.size()) return wrong(path, "either all questions have 'choices', or none has");
  if (with_choices != 0) {
    task.by_likelihood = true;
    task.metrics = {{.name = "acc"}, {.name = "acc_norm"}};
  }
  return task;
}

Result<Task> read_task(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension();
  Result<Task> task = extension == ".jsonl"                         ? read_jsonl_task(path)
                      : extension == ".yaml" || extension == ".yml" ? read_harness_task(path)
                      : extension == ".tsv"                         ? read_vlmeval_task(path)
                                            : Result<Task>(fail(ErrorCode::invalid_argument, path + " is no task: name a .jsonl, .yaml or .tsv file", path));
  if (!task) return task;
  std::vector<std::string> ids;
  for (const Item& item : task->items) ids.push_back(item.id);
  std::ranges::sort(ids);
  if (const auto twice = std::ranges::adjacent_find(ids); twice != ids.end()) {
    return fail(ErrorCode::invalid_argument, path + ": two questions have the id '" + *twice + "'", path);
  }
  return task;
}

}  // namespace calliope::eval
