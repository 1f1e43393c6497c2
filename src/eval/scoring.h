#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/task.h"

namespace calliope::eval {

/// What a model made of an item: what it wrote, or how likely it finds each choice.
struct Outcome {
  std::string text;
  std::vector<double> log_probabilities = {};
  bool chose_letter = false;  ///< the choices were given as letters, for who tells no likelihoods
};

/// Text that is compared loosely: lower case, without punctuation and articles, single blanks.
std::string loosened(std::string_view text);

/// The answer after the task's filters.
Result<std::string> filtered(const Task& task, std::string text);

/// Which choice a written answer names: by its letter standing alone, or by its text; -1 when it names none or several.
int choice_named(std::string_view answer, const std::vector<std::string>& choices);

/// Words of a transcript as they are compared: lower case, without punctuation; digits are not words for numbers.
std::vector<std::string> spoken_words(std::string_view text);

/// How many words must be put in, left out or changed to make the expected text of an answer, and how many that has.
struct WordErrors {
  int64_t errors = 0;
  int64_t words = 0;
};
WordErrors word_errors(std::string_view answer, std::string_view expected);
/// The same of an outcome, against the expected answer that is nearest.
Result<WordErrors> word_errors(const Task& task, const Item& item, const Outcome& outcome);

/// Whether each of the task's metrics counts the outcome as right.
Result<std::vector<bool>> score(const Task& task, const Item& item, const Outcome& outcome);

}  // namespace calliope::eval
