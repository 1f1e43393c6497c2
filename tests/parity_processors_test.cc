// Log-mel and image preprocessing against the reference processors.
#include <gtest/gtest.h>

#include <sstream>

#include "model/image_processor.h"
#include "model/log_mel.h"
#include "parity_inputs.h"

namespace calliope::parity {
namespace {

std::vector<int64_t> numbers(const std::string& text, char between) {
  std::vector<int64_t> out;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, between);) out.push_back(std::stoll(item));
  return out;
}

TEST(Parity, LogMel) {
  const Expected expected(fixture("processors.safetensors"));
  int seen = 0;
  for (const std::string& name : expected.names("log_mel.")) {
    if (name.ends_with(".frames")) continue;
    // log_mel.<mels>.<samples of the clips>.<clip>
    std::vector<std::string> fields;
    std::stringstream stream(name);
    for (std::string field; std::getline(stream, field, '.');) fields.push_back(field);
    const model::LogMel log_mel({.mels = std::stoll(fields[1])});
    std::vector<std::vector<float>> sounds;
    for (const int64_t samples : numbers(fields[2], '_'))
      sounds.push_back(sound(static_cast<uint32_t>(samples % 97), samples));
    const std::vector<std::span<const float>> clips(sounds.begin(), sounds.end());
    const auto features = log_mel.compute(clips);
    ASSERT_TRUE(features) << name << ": " << features.error().message;
    const tensor::Tensor& mel = (*features)[std::stoul(fields[3])];
    const int64_t frames = mel.shape()[0];
    ASSERT_EQ(frames, expected.integers(name + ".frames")[0]) << name;
    std::vector<float> kept;
    for (int64_t t = 0; t < frames; ++t) {
      if (t >= 8 && t < frames - 8 && t % 16 != 0) continue;
      kept.insert(kept.end(), mel.rows().row(t), mel.rows().row(t) + mel.shape()[1]);
    }
    expect_near("log-mel", name, kept, expected.floats(name), 1e-4);
    ++seen;
  }
  EXPECT_GE(seen, 10);
}

TEST(Parity, ImageProcessor) {
  const Expected expected(fixture("processors.safetensors"));
  int seen = 0;
  for (const std::string& full : expected.names("picture.")) {
    if (!full.ends_with(".grid")) continue;
    // picture.<width>x<height>.<limit>
    const std::string name = full.substr(0, full.size() - 5);
    const size_t dot = name.rfind('.');
    const auto size = numbers(name.substr(8, dot - 8), 'x');
    model::ImageProcessorConfig config{.patch_size = 16, .temporal_patch_size = 2, .merge_size = 2};
    const bool small = name.substr(dot + 1) == "small";
    config.min_pixels = small ? 4096 : 3136;
    config.max_pixels = small ? 9216 : 12845056;
    config.mean = {0.48f, 0.46f, 0.41f};
    config.std = {0.27f, 0.26f, 0.28f};
    const auto image =
        picture(static_cast<uint32_t>(size[0] + size[1]), static_cast<int>(size[0]), static_cast<int>(size[1]));
    const auto patches = model::ImageProcessor(config).process(image.rgb, image.width, image.height);
    ASSERT_TRUE(patches) << name << ": " << patches.error().message;
    const std::vector<int32_t> grid = {static_cast<int32_t>(patches->grid.t), static_cast<int32_t>(patches->grid.h),
                                       static_cast<int32_t>(patches->grid.w)};
    ASSERT_EQ(grid, expected.integers(full)) << name;
    const tensor::ConstRows rows = patches->pixel_values.rows();
    const tensor::Tensor weights = noise(1, {rows.cols});
    std::vector<float> sums;
    for (int64_t i = 0; i < rows.rows; ++i) {
      double sum = 0;
      for (int64_t c = 0; c < rows.cols; ++c) sum += double(rows.row(i)[c]) * double(weights.data()[c]);
      sums.push_back(static_cast<float>(sum));
    }
    expect_near("image processor", name + ".sums", sums, expected.floats(name + ".sums"), 1e-4);
    expect_near("image processor", name + ".patches", {rows.row(rows.rows - 1), static_cast<size_t>(rows.cols)},
                expected.floats(name + ".patches"), 1e-5);
    ++seen;
  }
  EXPECT_GE(seen, 15);
}

}  // namespace
}  // namespace calliope::parity
