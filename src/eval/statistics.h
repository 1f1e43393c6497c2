#pragma once

#include <cstdint>
#include <span>

namespace calliope::eval {

struct Interval {
  double low = 0, high = 0;
};

/// Wilson's score interval of a share (Wilson 1927); 95 % at z = 1.96.
Interval wilson(int64_t right, int64_t all, double z = 1.959963984540054);

/// A share that is summed up over items, such as wrong words of all words: of each item the part and the whole.
struct Share {
  int64_t part = 0;
  int64_t whole = 0;
};
/// The interval of the share over all items in 95 of 100 draws of as many of them with replacement (bootstrap, percentiles of
/// 2,000 draws, the same every time).
Interval bootstrap(std::span<const Share> shares);
/// How likely so great a difference of the two shares, or a greater one, would be if it were left to chance for each item which
/// of the two is whose (10,000 draws, the same every time). Items in the same order.
double permutation_test(std::span<const Share> first, std::span<const Share> second);

/// McNemar's exact test: how likely it is that as uneven a split of the items that only one of two models got right, or a
/// more uneven one, comes about when both are equally good. Two-sided, 1 when there are none.
double mcnemar(int64_t only_first, int64_t only_second);

}  // namespace calliope::eval
