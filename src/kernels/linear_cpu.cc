#include <vector>

#include "kernels/linear_internal.h"

namespace calliope::kernels::detail {
namespace {

// Eight partial sums, as the vector kernels keep them.
template <class Load>
void slice(tensor::ConstRows x, tensor::Rows y, int64_t begin, int64_t end, Load load_row) {
  for (int64_t o = begin; o < end; ++o) {
    const auto load = load_row(o);
    for (int64_t t = 0; t < x.rows; ++t) {
      const float* row = x.row(t);
      float sums[8] = {};
      int64_t i = 0;
      for (; i + 8 <= x.cols; i += 8) {
        for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += row[i + lane] * load(i + lane);
      }
      for (int64_t lane = 0; i < x.cols; ++i, ++lane) sums[lane] += row[i] * load(i);
      y.row(t)[o] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    }
  }
}

}  // namespace

void linear_slice_plain(tensor::ConstRows x, const tensor::View& weight, tensor::Rows y, int64_t begin, int64_t end) {
  if (tensor::is_quantized(weight.dtype)) {
    std::vector<float> row(static_cast<size_t>(x.cols));
    return slice(x, y, begin, end, [&](int64_t o) {
      weight.row(o).to_f32(row);
      return [&](int64_t i) { return row[static_cast<size_t>(i)]; };
    });
  }
  slice(x, y, begin, end, [&](int64_t o) {
    return [&, first = o * x.cols](int64_t i) { return weight.at(first + i); };
  });
}

}  // namespace calliope::kernels::detail
