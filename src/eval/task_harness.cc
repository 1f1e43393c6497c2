// lm-evaluation-harness task files: the part of its YAML that tasks of local files commonly use.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "eval/pattern.h"
#include "eval/python_literal.h"
#include "eval/records.h"
#include "eval/table.h"
#include "eval/task.h"
#include "model/template_evaluator.h"

namespace calliope::eval {
namespace {

namespace jinja = model::jinja;
using jinja::Value;

// What is wrong with the file, thrown within this file alone.
struct Wrong {
  Error error;
};

[[noreturn]] void wrong(const std::string& what, ErrorCode code = ErrorCode::invalid_argument) { throw Wrong{{code, what}}; }

template <class T>
T must(Result<T> result, const std::string& where) {
  if (!result) wrong(where + ": " + result.error().message, result.error().code);
  return std::move(*result);
}

std::string scalar(const YAML::Node& node, const std::string& name) {
  if (!node.IsScalar()) wrong("'" + name + "' must be text");
  if (node.Tag() == "!function") wrong("'" + name + "' calls a Python function, which is not supported: write it as a template", ErrorCode::unsupported);
  return node.Scalar();
}

// A field of the documents, or a template over them.
class Expression {
 public:
  Expression(const YAML::Node& node, const std::string& name) : name_(name), source_(scalar(node, name)) {
    if (source_.find("{{") == std::string::npos && source_.find("{%") == std::string::npos) return;
    template_ = must(jinja::parse_template(source_), name);
  }
  /// The field's value, else text.
  Value of(const Value& document) const {
    if (!template_) {
      if (const Value* field = document.get(source_)) return *field;
      return Value(source_);
    }
    std::string text = must(jinja::run_template(*template_, *document.dict()), name_);
    // Jinja, as the harness uses it, keeps the last line's end.
    if (source_.ends_with('\n') && !text.ends_with('\n')) text += '\n';
    return Value(std::move(text));
  }
  bool is_template() const { return template_ != nullptr; }

 private:
  std::string name_, source_;
  jinja::NodePtr template_;
};

YAML::Node load(const std::string& path, int depth = 0) {
  if (depth > 8) wrong(path + " includes too many files inside each other");
  YAML::Node node = YAML::Load(must(slurp(path), path));
  if (!node.IsMap()) wrong(path + " is no task: it must be a YAML mapping");
  if (!node["include"]) return node;
  YAML::Node base = load(beside(path, scalar(node["include"], "include")), depth + 1);
  for (const auto& entry : node) base[entry.first.Scalar()] = entry.second;
  base.remove("include");
  return base;
}

std::vector<std::string> texts(const YAML::Node& node, const std::string& name) {
  std::vector<std::string> result;
  if (!node) return result;
  if (node.IsScalar()) return {scalar(node, name)};
  if (!node.IsSequence()) wrong("'" + name + "' must be text or a list of texts");
  for (const auto& one : node) result.push_back(scalar(one, name));
  return result;
}

std::vector<Value> documents(const YAML::Node& root, const std::string& path) {
  const std::string kind = root["dataset_path"] ? scalar(root["dataset_path"], "dataset_path") : "";
  if (kind != "json" && kind != "csv") {
    wrong("'dataset_path' is '" + kind + "': only local files are read; say json or csv, and name them in dataset_kwargs.data_files", ErrorCode::unsupported);
  }
  const YAML::Node files = root["dataset_kwargs"] ? root["dataset_kwargs"]["data_files"] : YAML::Node();
  if (!files) wrong("'dataset_kwargs.data_files' is missing: it names the files");
  std::vector<std::string> names;
  if (files.IsMap()) {
    for (const char* split : {"test_split", "validation_split"}) {
      if (!names.empty() || !root[split]) continue;
      const std::string name = scalar(root[split], split);
      if (!files[name]) wrong("'data_files' has no '" + name + "', which '" + split + "' names");
      names = texts(files[name], "data_files");
    }
    if (names.empty()) wrong("neither 'test_split' nor 'validation_split' says which of 'data_files' to use");
  } else {
    names = texts(files, "data_files");
  }
  std::vector<Value> all;
  for (const std::string& name : names) {
    std::string file = beside(path, name);
    if (std::error_code ignored; !std::filesystem::exists(file, ignored) && std::filesystem::exists(name, ignored)) file = name;
    auto records = must(read_records(file), "data_files");
    all.insert(all.end(), std::make_move_iterator(records.begin()), std::make_move_iterator(records.end()));
  }
  return all;
}

bool flag(const YAML::Node& node) { return node && node.IsScalar() && (node.Scalar() == "true" || node.Scalar() == "True"); }

std::vector<Metric> metrics(const YAML::Node& list, bool by_likelihood) {
  std::vector<Metric> result;
  if (list && !list.IsSequence()) wrong("'metric_list' must be a list");
  for (const auto& entry : list) {
    Metric metric{.name = scalar(entry["metric"], "metric_list.metric")};
    const bool known = by_likelihood ? metric.name == "acc" || metric.name == "acc_norm" : metric.name == "exact_match";
    if (!known) {
      wrong("the metric '" + metric.name + "' is not supported with this output_type: known are acc and acc_norm (multiple_choice) and exact_match (generate_until)", ErrorCode::unsupported);
    }
    metric.ignore_case = flag(entry["ignore_case"]);
    metric.ignore_punctuation = flag(entry["ignore_punctuation"]);
    metric.ignore = texts(entry["regexes_to_ignore"], "regexes_to_ignore");
    for (const auto& pattern : metric.ignore) must(Pattern::compile(pattern), "regexes_to_ignore");
    result.push_back(std::move(metric));
  }
  if (result.empty() && by_likelihood) result = {{.name = "acc"}, {.name = "acc_norm"}};
  if (result.empty()) result = {{.name = "exact_match"}};
  return result;
}

// The first filter pipeline; a second one would be another metric of the same answers.
std::vector<Filter> filters(const YAML::Node& list) {
  std::vector<Filter> result;
  if (!list || list.size() == 0) return result;
  for (const auto& step : list[0]["filter"]) {
    const std::string function = scalar(step["function"], "filter.function");
    Filter filter;
    if (function == "regex") {
      filter.kind = Filter::Kind::regex;
      filter.pattern = step["regex_pattern"] ? scalar(step["regex_pattern"], "regex_pattern") : R"(#### (\-?[0-9\.\,]+))";
      must(Pattern::compile(filter.pattern), "regex_pattern");
      if (step["group_select"]) filter.group = step["group_select"].as<int>();
      if (step["fallback"]) filter.fallback = scalar(step["fallback"], "fallback");
    } else if (function == "remove_whitespace") {
      filter.kind = Filter::Kind::strip;
    } else if (function == "lowercase") {
      filter.kind = Filter::Kind::lowercase;
    } else if (function == "uppercase") {
      filter.kind = Filter::Kind::uppercase;
    } else if (function != "take_first") {
      wrong("the filter '" + function + "' is not supported: known are regex, take_first, remove_whitespace, lowercase and uppercase", ErrorCode::unsupported);
    }
    result.push_back(std::move(filter));
  }
  return result;
}

std::string as_text(const Value& value) { return value.text() ? *value.text() : value.str(); }

std::vector<std::string> as_texts(const Value& value) {
  std::vector<std::string> result;
  for (const Value& one : *value.list()) result.push_back(as_text(one));
  return result;
}

// doc_to_choice: a list, the name of a field that holds one, or a template that writes one.
class Choices {
 public:
  explicit Choices(const YAML::Node& node) {
    if (node.IsSequence()) fixed_ = texts(node, "doc_to_choice");
    else expression_.emplace(node, "doc_to_choice");
  }
  std::vector<std::string> of(const Value& document) const {
    if (!expression_) return fixed_;
    const Value value = expression_->of(document);
    if (value.list()) return as_texts(value);
    return must(python_strings(as_text(value)), "doc_to_choice");
  }

 private:
  std::vector<std::string> fixed_;
  std::optional<Expression> expression_;
};

std::optional<int64_t> whole(const Value& value) {
  if (value.whole()) return value.to_int();
  const std::string* text = value.text();
  int64_t number = 0;
  if (!text || text->empty()) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return number;
}

Task read(const std::string& path) {
  const YAML::Node root = load(path);
  if (root["group"] || (root["task"] && !root["task"].IsScalar())) wrong("this is a group of tasks; name its tasks one by one", ErrorCode::unsupported);
  Task task{.name = root["task"] ? scalar(root["task"], "task") : std::filesystem::path(path).stem().string()};
  const std::string output = root["output_type"] ? scalar(root["output_type"], "output_type") : "generate_until";
  if (output != "generate_until" && output != "multiple_choice") {
    wrong("the output_type '" + output + "' is not supported: known are generate_until and multiple_choice", ErrorCode::unsupported);
  }
  task.by_likelihood = output == "multiple_choice";
  if (root["num_fewshot"] && root["num_fewshot"].as<int>() != 0) wrong("'num_fewshot' is not 0: examples in the prompt are not supported", ErrorCode::unsupported);
  for (const char* hook : {"process_docs", "process_results", "doc_to_image", "doc_to_audio"}) {
    if (root[hook]) wrong(std::string("'") + hook + "' is not supported; pictures and sounds go into JSONL or VLMEvalKit tasks", ErrorCode::unsupported);
  }
  for (const char* needed : {"doc_to_text", "doc_to_target"}) {
    if (!root[needed]) wrong(std::string("'") + needed + "' is missing");
  }
  if (task.by_likelihood && !root["doc_to_choice"]) wrong("multiple_choice needs 'doc_to_choice'");
  task.metrics = metrics(root["metric_list"], task.by_likelihood);
  task.filters = filters(root["filter_list"]);
  task.stop = {"\n\n"};
  if (const auto settings = root["generation_kwargs"]) {
    if (settings["until"]) task.stop = texts(settings["until"], "until");
    if (settings["max_gen_toks"]) task.max_tokens = settings["max_gen_toks"].as<int>();
    if (flag(settings["do_sample"]) && settings["temperature"]) task.temperature = settings["temperature"].as<float>();
  }
  if (task.max_tokens < 1) wrong("'max_gen_toks' must be at least 1");
  const Expression text(root["doc_to_text"], "doc_to_text"), target(root["doc_to_target"], "doc_to_target");
  std::optional<Choices> choices;
  if (root["doc_to_choice"]) choices.emplace(root["doc_to_choice"]);
  std::optional<Expression> description;
  if (root["description"]) description.emplace(root["description"], "description");

  for (const Value& document : documents(root, path)) {
    Item item{.id = std::to_string(task.items.size())};
    item.turns.push_back({assistant::Role::user, {{.text = (description ? as_text(description->of(document)) : "") + as_text(text.of(document))}}});
    const Value expected = target.of(document);
    if (choices) item.choices = choices->of(document);
    const auto index = whole(expected);
    if (choices && index && *index >= 0 && *index < static_cast<int64_t>(item.choices.size())) item.right = static_cast<int>(*index);
    for (size_t i = 0; item.right < 0 && i < item.choices.size(); ++i) {
      if (item.choices[i] == as_text(expected)) item.right = static_cast<int>(i);
    }
    if (task.by_likelihood && item.right < 0) wrong("document " + item.id + ": doc_to_target '" + as_text(expected) + "' is none of its choices");
    if (task.by_likelihood && item.choices.size() < 2) wrong("document " + item.id + " has fewer than two choices");
    item.answers = item.right >= 0 ? std::vector{item.choices[static_cast<size_t>(item.right)]} : expected.list() ? as_texts(expected) : std::vector{as_text(expected)};
    task.items.push_back(std::move(item));
  }
  return task;
}

}  // namespace

Result<Task> read_harness_task(const std::string& path) {
  try {
    return read(path);
  } catch (const Wrong& wrong) {
    return fail(wrong.error.code, path + ": " + wrong.error.message, path);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::invalid_argument, path + ": " + error.what(), path);
  }
}

}  // namespace calliope::eval
