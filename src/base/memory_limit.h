#pragma once

#include <cstddef>

namespace calliope {

/// Bytes of memory this process may use: the machine's, or less where its control group is held to less.
size_t memory_limit();

/// Bytes of memory this process can still take: what other programs leave of the machine's, swap and what only caches files
/// included, or less where its control group is held to less.
size_t free_memory();

}  // namespace calliope
