#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace calliope::eval {

Interval wilson(int64_t right, int64_t all, double z) {
  if (all <= 0) return {0, 1};
  const double n = static_cast<double>(all), p = static_cast<double>(right) / n, z2 = z * z;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

namespace {

double rate(const Share& sum) { return sum.whole == 0 ? 0.0 : static_cast<double>(sum.part) / static_cast<double>(sum.whole); }

void add(Share& sum, const Share& one) {
  sum.part += one.part;
  sum.whole += one.whole;
}

}  // namespace

Interval bootstrap(std::span<const Share> shares) {
  constexpr size_t kDraws = 2000;
  if (shares.empty()) return {0, 1};
  std::mt19937_64 random(1);
  std::vector<double> rates;
  for (size_t draw = 0; draw < kDraws; ++draw) {
    Share sum;
    for (size_t i = 0; i < shares.size(); ++i) add(sum, shares[random() % shares.size()]);
    rates.push_back(rate(sum));
  }
  std::ranges::sort(rates);
  return {rates[kDraws / 40], rates[kDraws - 1 - kDraws / 40]};
}

double permutation_test(std::span<const Share> first, std::span<const Share> second) {
  constexpr int kDraws = 10'000;
  const auto difference = [&](const auto& swapped) {
    Share a, b;
    for (size_t i = 0; i < first.size(); ++i) {
      const bool swap = swapped();
      add(a, swap ? second[i] : first[i]);
      add(b, swap ? first[i] : second[i]);
    }
    return std::abs(rate(a) - rate(b));
  };
  const double seen = difference([] { return false; });
  std::mt19937_64 random(1);
  int as_great = 1;  // the one that was seen
  for (int draw = 0; draw < kDraws; ++draw) as_great += difference([&] { return random() % 2 == 0; }) >= seen - 1e-12;
  return static_cast<double>(as_great) / (kDraws + 1);
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
