#include "base/cores.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <sched.h>

namespace calliope {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Takes a number off the front.
template <class Number>
bool take(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  // Machines with more than 1024 hardware threads need a larger set: the kernel refuses one that is too small.
  for (int most = 1024; most <= 65536 && cpus.empty(); most *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(most));
    if (!set) break;
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(most));
    if (sched_getaffinity(0, size, set) == 0) {
      for (int cpu = 0; cpu < most; ++cpu) {
        if (CPU_ISSET_S(static_cast<size_t>(cpu), size, set)) cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
  }
  for (int cpu = 0; cpus.empty() && cpu < static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); ++cpu) cpus.push_back(cpu);
  return cpus;
}

// The tightest limit of this process's cgroup and of those around it.
std::optional<double> cpu_limit() {
  std::optional<double> limit;
  const auto tighten = [&](std::optional<double> other) {
    if (other && (!limit || *other < *limit)) limit = other;
  };
  const std::string groups = read_text("/proc/self/cgroup"), root = "/sys/fs/cgroup";
  std::string path;
  if (const size_t at = groups.find("0::"); at != std::string::npos) path = groups.substr(at + 3, groups.find('\n', at) - at - 3);
  for (;; path.resize(path.rfind('/'))) {
    tighten(parse_cpu_max(read_text(root + path + "/cpu.max")));
    if (path.find('/') == std::string::npos) break;
  }
  const std::string quota = read_text(root + "/cpu/cpu.cfs_quota_us"), period = read_text(root + "/cpu/cpu.cfs_period_us");
  tighten(parse_cpu_max(quota.substr(0, quota.find('\n')) + " " + period));
  return limit;
}

}  // namespace

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  do {
    int first = 0, last = 0;
    if (!take(text, first)) break;
    last = first;
    if (take(text, '-') && !take(text, last)) break;
    if (first < 0 || last > 65536) break;
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  } while (take(text, ','));
  return cpus;
}

std::optional<double> parse_cpu_max(std::string_view text) {
  double quota = 0, period = 0;
  if (!take(text, quota) || !take(text, ' ') || !take(text, period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::vector<Core> allowed_cores() {
  std::vector<Core> cores;
  std::vector<std::vector<int>> seen;  // all hardware threads of each core
  for (const int cpu : allowed_cpus()) {
    auto siblings = parse_cpu_list(read_text("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list"));
    if (siblings.empty()) siblings = {cpu};
    const auto same = std::ranges::find(seen, siblings);
    if (same == seen.end()) {
      seen.push_back(std::move(siblings));
      cores.push_back({cpu});
    } else {
      cores[static_cast<size_t>(same - seen.begin())].push_back(cpu);
    }
  }
  return cores;
}

int usable_cores() {
  const auto cores = static_cast<int>(allowed_cores().size());
  const auto limit = cpu_limit();
  return limit && *limit < cores ? std::max(1, static_cast<int>(std::ceil(*limit))) : cores;
}

}  // namespace calliope
