#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace calliope::kernels {

/// A picture's patch grid, walked block by block of merge x merge patches (row by row in a block).
struct PatchOrder {
  int64_t height = 0;
  int64_t width = 0;
  int64_t merge = 1;
  struct Place {
    int64_t row = 0;
    int64_t col = 0;
  };
  int64_t patches() const { return height * width; }
  Place at(int64_t index) const;
};

/// x[i] += the learned position table at patch i's place, the table's corners laid on the picture's corners and its
/// cells interpolated bilinearly. table [side * side, D], x [order.patches(), D].
void add_grid_positions(const tensor::View& table, const PatchOrder& order, tensor::Rows x);

}  // namespace calliope::kernels
