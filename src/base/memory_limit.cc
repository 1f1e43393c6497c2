#include "base/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace calliope {
namespace {

// The number after a word of a file of lines "word number ..."; 0 where there is none.
size_t number_after(const char* file, std::string_view word) {
  std::ifstream lines(file);
  for (std::string first, rest; lines >> first;) {
    size_t number = 0;
    if (first == word && lines >> number) return number;
    lines.clear();
    std::getline(lines, rest);
  }
  return 0;
}

}  // namespace

size_t memory_limit() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  size_t limit = pages > 0 && size > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(size) : SIZE_MAX;
  // Version 2 and 1 of control groups, as a container sees its own; "max" is no number.
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    size_t bytes = 0;
    if (std::ifstream(file) >> bytes && bytes > 0) limit = std::min(limit, bytes);
  }
  return limit;
}

size_t free_memory() {
  const size_t kib = number_after("/proc/meminfo", "MemAvailable:");
  size_t free = kib > 0 ? (kib + number_after("/proc/meminfo", "SwapFree:")) * 1024 : SIZE_MAX;
  size_t limit = 0, used = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit && std::ifstream("/sys/fs/cgroup/memory.current") >> used && limit > 0) {
    const size_t cached = number_after("/sys/fs/cgroup/memory.stat", "inactive_file");
    free = std::min(free, limit - std::min(limit, used - std::min(used, cached)));
  }
  return free;
}

}  // namespace calliope
