#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace calliope {

/// The hardware threads of one core that this process may run on.
using Core = std::vector<int>;

/// The cores this process may run on (sched_getaffinity); hardware threads that share a core are one. Never empty.
std::vector<Core> allowed_cores();

/// How many cores' worth of time this process gets: the allowed ones, or fewer where a cgroup limits it (as
/// `docker run --cpus` does). At least 1.
int usable_cores();

/// The numbers of a list as the kernel writes it, "0-3,8"; what cannot be read ends it.
std::vector<int> parse_cpu_list(std::string_view text);

/// Cores that a cgroup's cpu.max allows, "150000 100000" being 1.5; none for "max" and for what cannot be read.
std::optional<double> parse_cpu_max(std::string_view text);

}  // namespace calliope
