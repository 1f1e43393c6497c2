#include "kernels/position_grid.h"

#include <algorithm>
#include <cmath>

namespace calliope::kernels {
namespace {

// The two neighbours of one target position on an axis of the table and their weights, in f32 as the reference has it
// (vision_utils._interpolation_axis_taps_weights, bilinear, align_corners).
struct Axis {
  int64_t index[2];
  float weight[2];
};

Axis axis_at(int64_t position, int64_t size, int64_t side) {
  const float source =
      static_cast<float>(position) * static_cast<float>(side - 1) / static_cast<float>(std::max<int64_t>(size - 1, 1));
  const float floor = std::floor(source);
  const auto first = static_cast<int64_t>(floor);
  return {{std::min(first, side - 1), std::min(first + 1, side - 1)},
          {1.0f - (source - floor), std::max(0.0f, 1.0f - std::abs(source - floor - 1.0f))}};
}

}  // namespace

PatchOrder::Place PatchOrder::at(int64_t index) const {
  const int64_t in_col = index % merge, in_row = index / merge % merge, block = index / (merge * merge);
  const int64_t blocks_wide = width / merge;
  return {block / blocks_wide * merge + in_row, block % blocks_wide * merge + in_col};
}

void add_grid_positions(const tensor::View& table, const PatchOrder& order, tensor::Rows x) {
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(table.shape[0])));
  CHECK(side * side <= table.shape[0] && table.shape[1] == x.cols && x.rows == order.patches());
  for (int64_t i = 0; i < x.rows; ++i) {
    const auto place = order.at(i);
    const Axis row = axis_at(place.row, order.height, side), col = axis_at(place.col, order.width, side);
    tensor::View corner[4];
    float weight[4];
    for (int a = 0; a < 2; ++a) {
      for (int b = 0; b < 2; ++b) {
        corner[2 * a + b] = table.row(row.index[a] * side + col.index[b]);
        weight[2 * a + b] = row.weight[a] * col.weight[b];
      }
    }
    for (int64_t j = 0; j < x.cols; ++j) {
      float sum = 0;
      for (int k = 0; k < 4; ++k) sum += corner[k].at(j) * weight[k];
      x.row(i)[j] += sum;
    }
  }
}

}  // namespace calliope::kernels
