#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "eval/scoring.h"
#include "eval/task.h"

namespace calliope::eval {

/// What an item asks, in 64 bits: results that were recorded for another wording are not taken for it.
uint64_t item_key(const Task& task, const Item& item);

/// Outcomes of items, one JSON object a line, appended as they come, so that a run that was cut off goes on where it was.
/// What is right is not kept but found anew.
class Results {
 public:
  Results() = default;  ///< kept in memory alone
  /// Reads a file of results if it is there, and appends to it when `append`. A last line that was cut off is left out.
  static Result<Results> open(const std::string& path, bool append);

  /// None when it was not asked.
  const Outcome* find(const std::string& model, const Task& task, const Item& item) const;
  Result<void> add(const std::string& model, const Task& task, const Item& item, Outcome outcome);
  const std::set<std::string>& models() const { return models_; }

 private:
  static std::string name_of(const std::string& model, const std::string& task, const std::string& item, uint64_t key);
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::map<std::string, Outcome> outcomes_;
  std::set<std::string> models_;
};

}  // namespace calliope::eval
