#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/steps.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// How many patches a picture has in time, height and width: one row of image_grid_thw.
struct ImageGrid {
  int64_t t = 1;
  int64_t h = 0;
  int64_t w = 0;
  int64_t patches() const { return t * h * w; }
  /// Tokens in the prompt, after merge_size x merge_size patches became one.
  int64_t tokens(int64_t merge_size) const { return t * (h / merge_size) * (w / merge_size); }
};

/// Numbers are PIL's, as in preprocessor_config.json.
enum class Resample : int { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

/// The fields of preprocessor_config.json that concern pictures.
struct ImageProcessorConfig {
  int64_t patch_size = 16;
  int64_t temporal_patch_size = 2;
  int64_t merge_size = 2;
  int64_t min_pixels = 56 * 56;         ///< min_pixels, or size.shortest_edge
  int64_t max_pixels = 28 * 28 * 1280;  ///< max_pixels, or size.longest_edge
  Resample resample = Resample::bicubic;
  bool do_resize = true;
  bool do_rescale = true;
  bool do_normalize = true;
  double rescale_factor = 1.0 / 255.0;
  std::array<float, 3> mean = {0.48145466f, 0.4578275f, 0.40821073f};
  std::array<float, 3> std = {0.26862954f, 0.26130258f, 0.27577711f};
};

/// Reads a preprocessor_config.json (flat), or a processor_config.json with an "image_processor" object.
Result<ImageProcessorConfig> parse_image_processor_config(std::string_view json);

/// What VisionEncoder::encode takes.
struct ImagePatches {
  tensor::Tensor pixel_values;  ///< [patches, 3 * temporal_patch_size * patch_size^2], in merge order
  ImageGrid grid;
};

/// Pixels to patches as Qwen2VLImageProcessorPil does it: resized so that both sides are multiples of
/// patch_size * merge_size and the area lies in [min_pixels, max_pixels], rescaled, normalised, cut.
class ImageProcessor {
 public:
  explicit ImageProcessor(const ImageProcessorConfig& config) : config_(config) {}

  const ImageProcessorConfig& config() const { return config_; }

  /// The grid a picture of this size gets, without touching pixels. invalid_argument for an empty picture or one whose
  /// long side is more than 200 times its short side.
  Result<ImageGrid> grid(int64_t width, int64_t height) const;

  /// rgb holds height * width * 3 bytes, row by row.
  Result<ImagePatches> process(std::span<const uint8_t> rgb, int64_t width, int64_t height) const;
  /// The same in steps of some ten milliseconds. `rgb` must outlive it.
  Steps<Result<ImagePatches>> process_steps(std::span<const uint8_t> rgb, int64_t width, int64_t height) const;

 private:
  ImageProcessorConfig config_;
};

}  // namespace calliope::model
