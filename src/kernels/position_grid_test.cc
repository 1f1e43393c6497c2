#include "kernels/position_grid.h"

#include <gtest/gtest.h>

namespace calliope::kernels {
namespace {

TEST(PatchOrder, WalksBlockByBlock) {
  const PatchOrder order{.height = 4, .width = 6, .merge = 2};
  const int64_t expected[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {0, 3}, {1, 2}};
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(order.at(i).row, expected[i][0]) << i;
    EXPECT_EQ(order.at(i).col, expected[i][1]) << i;
  }
  EXPECT_EQ(order.at(12).row, 2);
  EXPECT_EQ(order.at(12).col, 0);
}

// A table whose entry is a plane a + b row + c col: bilinear interpolation keeps it a plane through the same corners.
TEST(GridPositions, APlaneStaysAPlane) {
  const int64_t side = 5;
  tensor::Tensor table({side * side, 1});
  for (int64_t r = 0; r < side; ++r) {
    for (int64_t c = 0; c < side; ++c) table.data()[r * side + c] = 1.0f + 10.0f * float(r) + 0.5f * float(c);
  }
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{2, 2}, {4, 10}, {6, 2}, {12, 8}}) {
    const PatchOrder order{.height = height, .width = width, .merge = 2};
    tensor::Tensor x({order.patches(), 1});
    add_grid_positions(table.view(), order, x.rows());
    for (int64_t i = 0; i < order.patches(); ++i) {
      const auto place = order.at(i);
      const double row = double(place.row) * (side - 1) / double(height - 1);
      const double col = double(place.col) * (side - 1) / double(width - 1);
      ASSERT_NEAR(x.data()[i], 1.0 + 10.0 * row + 0.5 * col, 1e-5) << height << " x " << width;
    }
  }
}

TEST(GridPositions, OnePatchTakesTheFirstCorner) {
  tensor::Tensor table({9, 2}), x({1, 2});
  table.data()[0] = 3;
  table.data()[1] = 4;
  add_grid_positions(table.view(), {.height = 1, .width = 1, .merge = 1}, x.rows());
  EXPECT_EQ(x.data()[0], 3);
  EXPECT_EQ(x.data()[1], 4);
}

}  // namespace
}  // namespace calliope::kernels
