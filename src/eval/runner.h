#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/answerer.h"
#include "eval/results.h"
#include "eval/statistics.h"
#include "eval/task.h"

namespace calliope::eval {

struct RunOptions {
  std::string model;    ///< what results are kept under
  int at_once = 16;     ///< items being answered
  int64_t limit = 0;    ///< only the first items; 0: all
  /// Told how many of how many are done, and how many of them are right; from one thread at a time.
  std::function<void(int64_t done, int64_t all, int64_t right)> progress = {};
};

/// Asks every item that has no result yet. Items whose asking failed have none afterwards; the first such error is returned
/// beside how many there were, and after 20 in a row nothing more is asked.
struct Run {
  int64_t asked = 0, failed = 0;
  Error first_error = {};
};
Result<Run> run_task(const Task& task, Answerer& answerer, Results& results, const RunOptions& options);

/// One metric of a task: which items are right, for those that have a result.
struct Figure {
  std::string metric;
  std::vector<bool> right;
  std::vector<Share> shares = {};  ///< of a metric that counts parts of items, such as words; else none
  std::vector<size_t> items;  ///< the items they belong to
  bool as_letters = false;
  int64_t count() const;
  /// The same of the items of one group alone.
  Figure of_group(const Task& task, const std::string& group) const;
};
/// The groups of a task's items in the order they come in; none when there are not at least two.
std::vector<std::string> groups_of(const Task& task);
Result<std::vector<Figure>> figures(const Task& task, const Results& results, const std::string& model, int64_t limit = 0);

/// A table of all figures with Wilson's intervals, or for shares those of the bootstrap; and, where there are figures to compare with, theirs on the same items, on
/// how many the two disagree, and McNemar's p.
struct Row {
  std::string task;
  Figure mine;
  const Figure* other = nullptr;
};
std::string table_of(const std::vector<Row>& rows);

}  // namespace calliope::eval
