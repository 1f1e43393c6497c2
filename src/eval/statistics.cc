#include "eval/statistics.h"

#include <algorithm>
#include <cmath>

namespace calliope::eval {

Interval wilson(int64_t right, int64_t all, double z) {
  if (all <= 0) return {0, 1};
  const double n = static_cast<double>(all), p = static_cast<double>(right) / n, z2 = z * z;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

double mcnemar(int64_t only_first, int64_t only_second) {
  const int64_t n = only_first + only_second, fewer = std::min(only_first, only_second);
  double tail = 0;
  for (int64_t i = 0; i <= fewer; ++i) {
    const auto x = static_cast<double>(i), all = static_cast<double>(n);
    tail += std::exp(std::lgamma(all + 1) - std::lgamma(x + 1) - std::lgamma(all - x + 1) - all * std::log(2.0));
  }
  return n == 0 ? 1.0 : std::min(1.0, 2 * tail);
}

}  // namespace calliope::eval
