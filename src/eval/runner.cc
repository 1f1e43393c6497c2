#include "eval/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
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
      if (task.metrics[m].rule == Rule::wer) {
        TRY(const WordErrors words, word_errors(task, items[i], *outcome));
        list[m].shares.push_back({words.errors, words.words});
      }
      list[m].right.push_back(right[m]);
      list[m].items.push_back(i);
      list[m].as_letters = list[m].as_letters || outcome->chose_letter;
    }
  }
  return list;
}

Figure Figure::of_group(const Task& task, const std::string& group) const {
  Figure part{.metric = metric, .as_letters = as_letters};
  for (size_t i = 0; i < items.size(); ++i) {
    if (task.items[items[i]].group != group) continue;
    part.right.push_back(right[i]);
    part.items.push_back(items[i]);
    if (!shares.empty()) part.shares.push_back(shares[i]);
  }
  return part;
}

std::vector<std::string> groups_of(const Task& task) {
  std::vector<std::string> groups;
  for (const Item& item : task.items) {
    if (std::ranges::find(groups, item.group) == groups.end()) groups.push_back(item.group);
  }
  if (groups.size() < 2) groups.clear();
  return groups;
}

namespace {

Share sum_of(const Figure& figure) {
  if (figure.shares.empty()) return {figure.count(), std::ssize(figure.right)};
  Share sum;
  for (const Share& one : figure.shares) {
    sum.part += one.part;
    sum.whole += one.whole;
  }
  return sum;
}

double percent(const Share& share) { return share.whole == 0 ? 0 : 100.0 * static_cast<double>(share.part) / static_cast<double>(share.whole); }

/// How two models compare on the items both have results of: the other's share, who alone is right how often, and p.
std::vector<std::string> comparison(const Figure& mine, const Figure& other) {
  std::map<size_t, size_t> places;
  for (size_t i = 0; i < other.items.size(); ++i) places[other.items[i]] = i;
  Figure a, b;
  int64_t only_mine = 0, only_theirs = 0;
  for (size_t i = 0; i < mine.items.size(); ++i) {
    const auto place = places.find(mine.items[i]);
    if (place == places.end()) continue;
    a.right.push_back(mine.right[i]);
    b.right.push_back(other.right[place->second]);
    if (!mine.shares.empty()) {
      a.shares.push_back(mine.shares[i]);
      b.shares.push_back(other.shares[place->second]);
    }
    only_mine += a.right.back() && !b.right.back();
    only_theirs += !a.right.back() && b.right.back();
  }
  if (a.right.empty()) return {"-", "-", "-", "-"};
  const std::string of = a.right.size() == mine.right.size() ? "" : fmt::format(" of {}", a.right.size());
  const std::string theirs = fmt::format("{:.1f}{}", percent(sum_of(b)), of);
  if (!mine.shares.empty()) return {theirs, "-", "-", fmt::format("{:.2g}", permutation_test(a.shares, b.shares))};
  return {theirs, std::to_string(only_mine), std::to_string(only_theirs), fmt::format("{:.2g}", mcnemar(only_mine, only_theirs))};
}

}  // namespace

std::string table_of(const std::vector<Row>& rows) {
  const bool compared = std::ranges::any_of(rows, [](const Row& row) { return row.other != nullptr; });
  std::vector<std::vector<std::string>> cells = {{"task", "metric", "right", "of", "%", "95 % interval"}};
  if (compared) cells[0].insert(cells[0].end(), {"other %", "only this", "only other", "p"});
  for (const Row& row : rows) {
    const Share sum = sum_of(row.mine);
    const Interval interval = row.mine.shares.empty() ? wilson(sum.part, sum.whole) : bootstrap(row.mine.shares);
    std::vector<std::string> line = {row.task, row.mine.metric + (row.mine.as_letters ? " (letters)" : ""), std::to_string(sum.part), std::to_string(sum.whole),
                                     fmt::format("{:.1f}", percent(sum)), fmt::format("{:.1f} - {:.1f}", 100 * interval.low, 100 * interval.high)};
    if (!row.mine.shares.empty()) line[1] += " (wrong words)";
    if (compared && row.other) std::ranges::move(comparison(row.mine, *row.other), std::back_inserter(line));
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
