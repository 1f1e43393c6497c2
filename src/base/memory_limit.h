#pragma once

#include <cstddef>

namespace calliope {

/// Bytes of memory this process may use: the machine's, or less where its control group is held to less.
size_t memory_limit();

}  // namespace calliope
