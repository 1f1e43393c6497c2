#pragma once

#include <cstdint>

namespace calliope::eval {

struct Interval {
  double low = 0, high = 0;
};

/// Wilson's score interval of a share (Wilson 1927); 95 % at z = 1.96.
Interval wilson(int64_t right, int64_t all, double z = 1.959963984540054);

/// McNemar's exact test: how likely it is that as uneven a split of the items that only one of two models got right, or a
/// more uneven one, comes about when both are equally good. Two-sided, 1 when there are none.
double mcnemar(int64_t only_first, int64_t only_second);

}  // namespace calliope::eval
