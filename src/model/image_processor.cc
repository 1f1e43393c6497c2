#include "model/image_processor.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "model/image_resample.h"
#include "model/preprocessor_json.h"

namespace calliope::model {
namespace {

constexpr double kMostElongated = 200.0;  // smart_resize

struct Size {
  int64_t width = 0;
  int64_t height = 0;
};

// image_processing_qwen2_vl.smart_resize; Python rounds halves to the even neighbour, as nearbyint does.
Size smart_resize(Size size, int64_t factor, int64_t min_pixels, int64_t max_pixels) {
  const auto width = double(size.width), height = double(size.height), step = double(factor);
  const auto steps = [&](double count) { return static_cast<int64_t>(count) * factor; };
  Size out{steps(std::nearbyint(width / step)), steps(std::nearbyint(height / step))};
  if (out.width * out.height > max_pixels) {
    const double beta = std::sqrt(width * height / double(max_pixels));
    out = {std::max(factor, steps(std::floor(width / beta / step))),
           std::max(factor, steps(std::floor(height / beta / step)))};
  } else if (out.width * out.height < min_pixels) {
    const double beta = std::sqrt(double(min_pixels) / (width * height));
    out = {steps(std::ceil(width * beta / step)), steps(std::ceil(height * beta / step))};
  }
  return out;
}

}  // namespace

Result<ImageProcessorConfig> parse_image_processor_config(std::string_view json) {
  TRY(auto fields, PreprocessorFields::parse(json, "image_processor"));
  ImageProcessorConfig config;
  constexpr int64_t kMostPixels = int64_t{1} << 30;
  // What Qwen2VLImageProcessor assumes where the file is silent.
  config.patch_size = 14;
  fields.read("patch_size", config.patch_size, 1, 256);
  fields.read("temporal_patch_size", config.temporal_patch_size, 1, 16);
  fields.read("merge_size", config.merge_size, 1, 16);
  auto size = fields.nested("size");
  size.read("shortest_edge", config.min_pixels, 1, kMostPixels);
  size.read("longest_edge", config.max_pixels, 1, kMostPixels);
  TRY_VOID(size.done());
  fields.read("min_pixels", config.min_pixels, 1, kMostPixels);
  fields.read("max_pixels", config.max_pixels, 1, kMostPixels);
  auto resample = static_cast<int64_t>(config.resample);
  fields.read("resample", resample, 0, 5);
  config.resample = static_cast<Resample>(resample);
  fields.read("do_resize", config.do_resize);
  fields.read("do_rescale", config.do_rescale);
  fields.read("do_normalize", config.do_normalize);
  fields.read("rescale_factor", config.rescale_factor);
  fields.read("image_mean", config.mean);
  fields.read("image_std", config.std);
  TRY_VOID(fields.done());
  if (config.min_pixels > config.max_pixels) {
    return fail(ErrorCode::invalid_argument, "preprocessor_config.json: min_pixels is above max_pixels", "min_pixels");
  }
  if (std::ranges::any_of(config.std, [](float s) { return s == 0; })) {
    return fail(ErrorCode::invalid_argument, "preprocessor_config.json: image_std must not be 0", "image_std");
  }
  return config;
}

Result<ImageGrid> ImageProcessor::grid(int64_t width, int64_t height) const {
  if (width <= 0 || height <= 0) return fail(ErrorCode::invalid_argument, "the picture is empty");
  const double ratio = double(std::max(width, height)) / double(std::min(width, height));
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (ratio > kMostElongated) {
    return fail(ErrorCode::invalid_argument,
                "a picture of " + size + " pixels is too elongated: one side may be at most 200 times the other");
  }
  if (std::max(width, height) > int64_t{1} << 24) return fail(ErrorCode::too_large, "a picture of " + size + " pixels");
  const int64_t factor = config_.patch_size * config_.merge_size;
  Size resized{width, height};
  if (config_.do_resize) resized = smart_resize(resized, factor, config_.min_pixels, config_.max_pixels);
  if (resized.width <= 0 || resized.height <= 0 || resized.width % factor != 0 || resized.height % factor != 0) {
    return fail(ErrorCode::invalid_argument,
                "a picture of " + size + " pixels cannot be cut into patches of " + std::to_string(factor));
  }
  return ImageGrid{.t = 1, .h = resized.height / config_.patch_size, .w = resized.width / config_.patch_size};
}

Result<ImagePatches> ImageProcessor::process(std::span<const uint8_t> rgb, int64_t width, int64_t height) const {
  return process_steps(rgb, width, height).run();
}

Steps<Result<ImagePatches>> ImageProcessor::process_steps(std::span<const uint8_t> rgb, int64_t width,
                                                          int64_t height) const {
  auto sized = this->grid(width, height);
  if (!sized) co_return std::unexpected(std::move(sized).error());
  const ImageGrid grid = *sized;
  if (static_cast<int64_t>(rgb.size()) != width * height * 3) {
    co_return fail(ErrorCode::invalid_argument, "a picture's bytes do not fit its size");
  }
  const int64_t patch = config_.patch_size, merge = config_.merge_size;
  const int64_t out_width = grid.w * patch, out_height = grid.h * patch;
  std::vector<uint8_t> resized;
  if (out_width != width || out_height != height) {
    auto steps =
        resample_rgb_steps({.rgb = rgb, .width = width, .height = height}, out_width, out_height, config_.resample);
    while (steps.step()) co_yield Pause{};
    resized = steps.take();
    rgb = resized;
  }
  // A channel has only 256 values: rescale (in double, rounded to float) and normalise each once.
  float levels[3][256];
  for (size_t c = 0; c < 3; ++c) {
    for (int level = 0; level < 256; ++level) {
      float value = config_.do_rescale ? static_cast<float>(level * config_.rescale_factor) : static_cast<float>(level);
      if (config_.do_normalize) value = (value - config_.mean[c]) / config_.std[c];
      levels[c][level] = value;
    }
  }
  // Patches go block by block of merge x merge; in a patch: channel, time, row, column.
  ImagePatches patches{
      .pixel_values = tensor::Tensor({grid.patches(), 3 * config_.temporal_patch_size * patch * patch}), .grid = grid};
  const auto cut = [&](int64_t patch_row, int64_t patch_col, float* to) {
    for (size_t c = 0; c < 3; ++c) {
      for (int64_t time = 0; time < config_.temporal_patch_size; ++time) {
        for (int64_t row = 0; row < patch; ++row) {
          const uint8_t* from = rgb.data() + ((patch_row * patch + row) * out_width + patch_col * patch) * 3 + c;
          for (int64_t col = 0; col < patch; ++col) *to++ = levels[c][from[col * 3]];
        }
      }
    }
  };
  int64_t index = 0;
  for (int64_t block_row = 0; block_row < grid.h; block_row += merge) {
    for (int64_t block_col = 0; block_col < grid.w; block_col += merge) {
      for (int64_t row = 0; row < merge; ++row) {
        for (int64_t col = 0; col < merge; ++col) {
          cut(block_row + row, block_col + col, patches.pixel_values.rows().row(index++));
        }
      }
    }
  }
  co_return patches;
}

}  // namespace calliope::model
