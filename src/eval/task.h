#pragma once

#include <string>
#include <vector>

#include "assistant/request.h"
#include "base/result.h"

namespace calliope::eval {

/// One piece of what is asked: text, or a picture or sound, in a file or as the bytes of one.
struct Part {
  enum class Kind { text, image, sound } kind = Kind::text;
  std::string text = {};
  std::string path = {};
  std::string bytes = {};
};

struct Turn {
  assistant::Role role = assistant::Role::user;
  std::vector<Part> parts;
};

/// One question with what is right.
struct Item {
  std::string id;  ///< of its own within the task
  std::vector<Turn> turns;
  std::vector<std::string> answers = {};  ///< any of them is right
  std::vector<std::string> choices = {};  ///< to choose among
  int right = -1;                         ///< which of `choices`; -1: `answers` count
  std::string group = {};                 ///< of what kind it is; kinds have rows of their own
};

/// How a written answer is held to the expected ones.
enum class Rule {
  exact,     ///< to the letter, blanks at the ends aside
  loose,     ///< case, punctuation, articles and runs of blanks aside
  contains,  ///< the expected words, loosely, stand in it
  number,    ///< the last number in it is the expected one
  json,      ///< the same JSON value, order of keys aside
  regex,     ///< the expected is a pattern (PCRE) that matches somewhere
  wer,       ///< the share of wrong words among all (word error rate)
  words,     ///< no word is wrong
  letter,    ///< names one of the choices A, B, C, ... or has its text (VLMEvalKit's can_infer)
};
Result<Rule> rule_named(const std::string& name);

/// A step between the answer and the rule, as lm-evaluation-harness has them.
struct Filter {
  enum class Kind { regex, take_first, strip, lowercase, uppercase } kind = Kind::take_first;
  std::string pattern = {};
  int group = 0;  ///< which match; -1 the last
  std::string fallback = "[invalid]";
};

struct Metric {
  std::string name;
  Rule rule = Rule::exact;
  bool ignore_case = false, ignore_punctuation = false;
  std::vector<std::string> ignore = {};  ///< patterns that are taken out of answer and expected
};

struct Task {
  std::string name;
  std::vector<Item> items;
  /// Choices are compared by how likely the model finds them, not written.
  bool by_likelihood = false;
  int max_tokens = 256;
  std::vector<std::string> stop = {};
  float temperature = 0;
  std::vector<Filter> filters = {};
  std::vector<Metric> metrics;  ///< at least one; the first is what is compared. By likelihood: acc, acc_norm
};

/// Reads a task file by what it is: .jsonl, .yaml or .yml (lm-evaluation-harness), .tsv (VLMEvalKit). Errors name file and
/// line or field.
Result<Task> read_task(const std::string& path);
Result<Task> read_jsonl_task(const std::string& path);
Result<Task> read_harness_task(const std::string& path);
Result<Task> read_vlmeval_task(const std::string& path);

}  // namespace calliope::eval
