#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace calliope::cli {

struct EvalOptions {
  std::string model;  ///< checkpoint, or with a URL the name there
  std::vector<std::string> tasks;
  std::string url, key;
  std::string out;            ///< file of results, gone on with; empty: none
  std::string against;        ///< file of results to compare with
  std::string against_model;  ///< which of its models
  int limit = 0, at_once = 16, threads = 0;
  int show = 0;               ///< wrong answers to print of each task
};

void add_eval_options(CLI::App& command, EvalOptions& options);
/// Measures a model on tasks and prints a table. Returns the exit status: 1 also when items could not be asked.
int run_eval(const EvalOptions& options);

}  // namespace calliope::cli
