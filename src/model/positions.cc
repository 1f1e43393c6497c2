#include "model/positions.h"

#include <algorithm>

namespace calliope::model {

Result<Positions> rope_positions(std::span<const int32_t> ids, std::span<const ImageGrid> grids, const ThinkerConfig& config) {
  const int64_t merge = config.vision.spatial_merge_size;
  Positions positions;
  for (auto& axis : positions.axis) axis.reserve(ids.size());
  int64_t next = 0;
  size_t picture = 0;
  for (size_t i = 0; i < ids.size();) {
    if (ids[i] != config.image_token_id) {
      positions.push(next++);
      ++i;
      continue;
    }
    if (picture == grids.size()) return fail(ErrorCode::invalid_argument, "the prompt has more image tokens than pictures");
    const ImageGrid& grid = grids[picture++];
    const int64_t height = grid.h / merge, width = grid.w / merge;
    const auto tokens = static_cast<size_t>(grid.t * height * width);
    const auto end = std::find_if(ids.begin() + static_cast<std::ptrdiff_t>(i), ids.end(),
                                  [&](int32_t id) { return id != config.image_token_id; });
    if (tokens == 0 || static_cast<size_t>(end - ids.begin()) - i < tokens) {
      return fail(ErrorCode::invalid_argument, "a picture of " + std::to_string(tokens) + " tokens has " +
                                                   std::to_string(end - ids.begin() - static_cast<std::ptrdiff_t>(i)) +
                                                   " places in the prompt");
    }
    for (int64_t t = 0; t < grid.t; ++t) {
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          positions.axis[0].push_back(next + t * config.position_id_per_seconds);
          positions.axis[1].push_back(next + y);
          positions.axis[2].push_back(next + x);
        }
      }
    }
    next += std::max({(grid.t - 1) * config.position_id_per_seconds, height - 1, width - 1}) + 1;
    i += tokens;
  }
  if (picture != grids.size()) return fail(ErrorCode::invalid_argument, "the prompt has fewer image tokens than pictures");
  return positions;
}

int64_t next_position(const Positions& positions) {
  int64_t next = 0;
  for (const auto& axis : positions.axis) {
    for (const int64_t position : axis) next = std::max(next, position + 1);
  }
  return next;
}

}  // namespace calliope::model
