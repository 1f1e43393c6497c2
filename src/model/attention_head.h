#pragma once

#include <cstdint>

namespace calliope::model {

/// One attention head of one layer.
struct AttentionHead {
  int64_t layer = 0, head = 0;
  bool operator==(const AttentionHead&) const = default;
};

}  // namespace calliope::model
