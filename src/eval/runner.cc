#include "eval/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "eval/statistics.h"
#include "model/template_text.h"

namespace calliope::eval {
namespace {

constexpr int64_t kMostFailuresInARow = 20;

std::span<const Item> first_items(const Task& task, int64_t limit) {
  const std::span<const Item> all(task.items);
  return limit > 0 ? all.first(std::min(all.size(), static_cast<size_t>(limit))) : all;
}

// Shared with answers that come from other threads.
struct Progress {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t open = 0, done = 0, right = 0, failures_in_a_row = 0;
  Run run;
  std::optional<Error> broken;  // no use to go on
};

}  // namespace

Result<Run> run_task(const Task& task, Answerer& answerer, Results& results, const RunOptions& options) {
  const auto items = first_items(task, options.limit);
  Progress progress;
  const auto all = static_cast<int64_t>(items.size());
  // With the lock held.
  const auto count = [&](const Item& item, const Outcome& outcome) {
    const auto right = score(task, item, outcome);
    if (!right) progress.broken = right.error();
    else progress.right += right->front();
    ++progress.done;
    if (options.progress) options.progress(progress.done, all, progress.right);
  };
  std::vector<const Item*> open;
  for (const Item& item : items) {
    if (const Outcome* known = results.find(options.model, task, item)) count(item, *known);
    else open.push_back(&item);
  }
  for (const Item* item : open) {
    {
      std::unique_lock lock(progress.mutex);
      progress.changed.wait(lock, [&] { return progress.open < options.at_once; });
      if (progress.broken || progress.failures_in_a_row >= kMostFailuresInARow) break;
      ++progress.open;
      ++progress.run.asked;
    }
    answerer.ask(task, *item, [&, item](Result<Outcome> outcome) {
      const std::lock_guard lock(progress.mutex);
      if (outcome) {
        progress.failures_in_a_row = 0;
        count(*item, *outcome);
        if (auto added = results.add(options.model, task, *item, std::move(*outcome)); !added) progress.broken = added.error();
      } else {
        if (progress.run.failed++ == 0) progress.run.first_error = outcome.error();
        ++progress.failures_in_a_row;
      }
      --progress.open;
      progress.changed.notify_all();
    });
  }
  std::unique_lock lock(progress.mutex);
  progress.changed.wait(lock, [&] { return progress.open == 0; });
  if (progress.broken) return std::unexpected(*progress.broken);
  return progress.run;
}

int64_t Figure::count() const { return std::ranges::count(right, true); }

Result<std::vector<Figure>> figures(const Task& task, const Results& results, const std::string& model, int64_t limit) {
  std::vector<Figure> list;
  for (const Metric& metric : task.metrics) list.push_back({.metric = metric.name});
  const auto items = first_items(task, limit);
  for (size_t i = 0; i < items.size(); ++i) {
    const Outcome* outcome = results.find(model, task, items[i]);
    if (!outcome) continue;
    TRY(const auto right, score(task, items[i], *outcome));
    for (size_t m = 0; m < list.size(); ++m) {
      list[m].right.push_back(right[m]);
      list[m].items.push_back(i);
      list[m].as_letters = list[m].as_letters || outcome->chose_letter;
    }
  }
  return list;
}

std::string table_of(const std::vector<Row>& rows) {
  const bool compared = std::ranges::any_of(rows, [](const Row& row) { return row.other != nullptr; });
  std::vector<std::vector<std::string>> cells = {{"task", "metric", "right", "of", "%", "95 % interval"}};
  if (compared) cells[0].insert(cells[0].end(), {"other %", "only this", "only other", "p"});
  for (const Row& row : rows) {
    const auto all = static_cast<int64_t>(row.mine.right.size()), right = row.mine.count();
    const Interval interval = wilson(right, all);
    const double share = all == 0 ? 0 : 100.0 * static_cast<double>(right) / static_cast<double>(all);
    std::vector<std::string> line = {row.task, row.mine.metric + (row.mine.as_letters ? " (letters)" : ""), std::to_string(right), std::to_string(all),
                                     fmt::format("{:.1f}", share), fmt::format("{:.1f} - {:.1f}", 100 * interval.low, 100 * interval.high)};
    if (compared && row.other) {
      std::map<size_t, bool> others;
      for (size_t i = 0; i < row.other->items.size(); ++i) others[row.other->items[i]] = row.other->right[i];
      int64_t both = 0, theirs = 0, only_mine = 0, only_theirs = 0;
      for (size_t i = 0; i < row.mine.items.size(); ++i) {
        const auto other = others.find(row.mine.items[i]);
        if (other == others.end()) continue;
        ++both;
        theirs += other->second;
        only_mine += row.mine.right[i] && !other->second;
        only_theirs += !row.mine.right[i] && other->second;
      }
      const bool same = both == all && both > 0;
      line.insert(line.end(), {both == 0 ? "-" : fmt::format("{:.1f}{}", 100.0 * static_cast<double>(theirs) / static_cast<double>(both), same ? "" : fmt::format(" of {}", both)),
                               std::to_string(only_mine), std::to_string(only_theirs), both == 0 ? "-" : fmt::format("{:.2g}", mcnemar(only_mine, only_theirs))});
    }
    line.resize(cells[0].size());
    cells.push_back(std::move(line));
  }
  std::string out;
  const auto width = [](const std::string& text) { return static_cast<size_t>(model::jinja::length(text)); };
  std::vector<size_t> widths(cells[0].size());
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string space(widths[i] - width(line[i]), ' ');
      out += i < 2 ? line[i] + space : space + line[i];
      if (i + 1 < line.size()) out += "  ";
    }
    while (out.ends_with(' ')) out.pop_back();
    out += '\n';
  }
  return out;
}

}  // namespace calliope::eval
