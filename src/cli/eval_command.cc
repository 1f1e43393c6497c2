#include "cli/eval_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "cli/option_checks.h"
#include "engine/engine.h"
#include "eval/runner.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;

// On a terminal one line that changes, else a line every half minute.
class ProgressLine {
 public:
  explicit ProgressLine(std::string task) : task_(std::move(task)) {}
  void show(int64_t done, int64_t all, int64_t right) {
    const auto now = Clock::now();
    if (first_ < 0) first_ = done - 1;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    if (done < all && std::chrono::duration<double>(now - last_).count() < (terminal_ ? 0.2 : 30.0)) return;
    last_ = now;
    const double left = seconds * static_cast<double>(all - done) / static_cast<double>(std::max<int64_t>(1, done - first_));
    std::fprintf(stderr, "%s%s: %ld of %ld, %.1f %% right, %.0f s left%s", terminal_ ? "\r" : "", task_.c_str(), long(done), long(all),
                 100.0 * double(right) / double(std::max<int64_t>(1, done)), left, terminal_ ? "   " : "\n");
    shown_ = true;
  }
  ~ProgressLine() {
    if (shown_ && terminal_) std::fputc('\n', stderr);
  }

 private:
  std::string task_;
  bool terminal_ = isatty(STDERR_FILENO) != 0, shown_ = false;
  int64_t first_ = -1;
  Clock::time_point start_ = Clock::now(), last_ = start_;
};

// Who is asked, and what that needs.
struct Asked {
  std::shared_ptr<api::MediaDecoder> decoder;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<eval::Answerer> answerer;
};

Result<Asked> make_answerer(const EvalOptions& options) {
  Asked asked;
  if (!options.url.empty()) {
    const char* key = std::getenv("OPENAI_API_KEY");
    asked.answerer = eval::url_answerer({.url = options.url, .model = options.model, .key = !options.key.empty() ? options.key : key ? key : "", .at_once = options.at_once});
    return asked;
  }
  if (options.threads > 0) set_thread_count(options.threads);
  TRY(auto model, model::load_model(options.model));
  TRY_VOID(model::check_chat_tokens(*model));
  asked.decoder = make_media_decoder();
  asked.engine = std::make_unique<engine::Engine>(std::move(model), engine::EngineOptions{.max_queued = options.at_once, .max_sessions = options.at_once});
  asked.answerer = eval::engine_answerer(*asked.engine, *asked.decoder);
  return asked;
}

void show_wrong(const eval::Task& task, const eval::Results& results, const EvalOptions& options, const eval::Figure& figure) {
  int shown = 0;
  for (size_t i = 0; i < figure.right.size() && shown < options.show; ++i) {
    if (figure.right[i]) continue;
    const eval::Item& item = task.items[figure.items[i]];
    const eval::Outcome& outcome = *results.find(options.model, task, item);
    std::string said = outcome.text;
    for (const double value : outcome.log_probabilities) said += (said.empty() ? "" : " ") + std::to_string(value);
    std::printf("%s %s\n  wanted: %s\n  got:    %s\n", task.name.c_str(), item.id.c_str(), item.answers.front().c_str(), said.c_str());
    ++shown;
  }
}

Result<int> evaluate(const EvalOptions& options) {
  std::vector<eval::Task> tasks;
  for (const std::string& path : options.tasks) {
    TRY(eval::Task task, eval::read_task(path));
    tasks.push_back(std::move(task));
  }
  eval::Results results, others;
  if (!options.out.empty()) {
    TRY(results, eval::Results::open(options.out, true));
  }
  std::string other_model = options.against_model;
  if (!options.against.empty()) {
    TRY(others, eval::Results::open(options.against, false));
    if (other_model.empty() && others.models().size() == 1) other_model = *others.models().begin();
    if (!others.models().contains(other_model)) {
      std::string names;
      for (const auto& name : others.models()) names += (names.empty() ? "" : ", ") + name;
      return fail(ErrorCode::invalid_argument, options.against + " has results of " + names + ": say which with --against-model");
    }
  }
  TRY(const Asked asked, make_answerer(options));
  std::vector<eval::Row> rows;
  std::deque<eval::Figure> other_figures;  // rows point to them
  int64_t failed = 0;
  for (const eval::Task& task : tasks) {
    eval::Run run;
    {
      ProgressLine line(task.name);
      const eval::RunOptions how{.model = options.model, .at_once = options.at_once, .limit = options.limit,
                                 .progress = [&](int64_t done, int64_t all, int64_t right) { line.show(done, all, right); }};
      TRY(run, eval::run_task(task, *asked.answerer, results, how));
    }
    if (run.failed > 0) {
      std::fprintf(stderr, "%s: %ld of %ld could not be asked; the first: %s\n", task.name.c_str(), long(run.failed), long(run.asked), run.first_error.message.c_str());
      failed += run.failed;
    }
    TRY(const auto mine, eval::figures(task, results, options.model, options.limit));
    std::vector<eval::Figure> theirs;
    if (!options.against.empty()) {
      TRY(theirs, eval::figures(task, others, other_model, options.limit));
    }
    show_wrong(task, results, options, mine.front());
    const auto add = [&](const std::string& name, eval::Figure figure, const eval::Figure* other) {
      if (other != nullptr) other_figures.push_back(*other);
      rows.push_back({name, std::move(figure), other != nullptr ? &other_figures.back() : nullptr});
    };
    for (size_t m = 0; m < mine.size(); ++m) add(task.name, mine[m], theirs.empty() ? nullptr : &theirs[m]);
    for (const std::string& group : eval::groups_of(task)) {
      for (size_t m = 0; m < mine.size(); ++m) {
        if (eval::Figure part = mine[m].of_group(task, group); !part.right.empty()) {
          add("  " + (group.empty() ? std::string("others") : group), std::move(part), theirs.empty() ? nullptr : &theirs[m]);
        }
      }
    }
  }
  std::fputs(eval::table_of(rows).c_str(), stdout);
  return failed > 0 ? 1 : 0;
}

}  // namespace

void add_eval_options(CLI::App& command, EvalOptions& options) {
  command.add_option("model", options.model, "Checkpoint folder or GGUF file; with --url the model's name there")->required()->type_name("MODEL");
  command.add_option("task", options.tasks, "Task files: .jsonl, .yaml (lm-evaluation-harness), .tsv (VLMEvalKit)")
      ->required()
      ->check(existing_file())
      ->type_name("TASK...");
  auto* url = command.add_option("--url", options.url, "Measure a server with OpenAI's API, for example https://api.openai.com/v1")->type_name("URL");
  command.add_option("--api-key", options.key, "Its key (default: $OPENAI_API_KEY)")->needs(url)->type_name("KEY");
  command.add_option("--out", options.out, "File that results are added to; a run that was cut off goes on from it")->check(not_empty())->type_name("FILE");
  auto* against = command.add_option("--against", options.against, "Results of another model to compare with")->check(existing_file())->type_name("FILE");
  command.add_option("--against-model", options.against_model, "Which model of that file (default: the only one)")->needs(against)->type_name("MODEL");
  command.add_option("--limit", options.limit, "Only the first N questions of each task")->check(whole_number(1, 1 << 30))->type_name("N");
  command.add_option("--at-once", options.at_once, "Questions being answered at the same time")->check(whole_number(1, 256))->type_name("N")->capture_default_str();
  command.add_option("--show", options.show, "Print the first N wrong answers of each task")->check(whole_number(0, 1 << 30))->type_name("N");
  command.add_option("-t,--threads", options.threads, "Threads to compute with (default: all cores)")->check(whole_number(1, 1024))->type_name("N");
  command.footer(
      "Examples:\n"
      "  calliope eval models/calliope-nano bench/tasks/typed_questions.jsonl --out nano.jsonl\n"
      "  calliope eval other.gguf bench/tasks/typed_questions.jsonl --against nano.jsonl\n"
      "  calliope eval gpt-4o-mini task.tsv --url https://api.openai.com/v1\n");
}

int run_eval(const EvalOptions& options) {
  auto status = evaluate(options);
  return status ? *status : complain("eval", status.error());
}

}  // namespace calliope::cli
