#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/steps.h"
#include "model/image_processor.h"

namespace calliope::model {

/// A picture someone else owns: height * width * 3 bytes, row by row.
struct RgbImage {
  std::span<const uint8_t> rgb;
  int64_t width = 0;
  int64_t height = 0;
};

/// Resizes as PIL.Image.resize of Pillow 13 does, bit for bit: a horizontal and a vertical pass with antialiasing, each
/// in fixed point of 22 bits with rounding to bytes in between (libImaging/Resample.c). Sizes must be positive.
std::vector<uint8_t> resample_rgb(const RgbImage& image, int64_t width, int64_t height, Resample filter);

/// The same in steps of some ten milliseconds.
Steps<std::vector<uint8_t>> resample_rgb_steps(RgbImage image, int64_t width, int64_t height, Resample filter);

}  // namespace calliope::model
