#include "model/log_mel_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace calliope::model {
namespace {

std::vector<float> sound(size_t count) {
  std::vector<float> samples(count);
  for (size_t i = 0; i < count; ++i) samples[i] = static_cast<float>(std::sin(double(i) * 0.05) * double(i % 977) / 1000 * (i > 900));
  return samples;
}

// Cut anyhow, alone and beside a longer sound: bit for bit what compute() gives.
TEST(LogMelStream, EqualsTheWholeSound) {
  for (const LogMelConfig& config : {LogMelConfig{}, LogMelConfig{.n_fft = 128}, LogMelConfig{.mels = 32, .n_fft = 800, .padding_value = 0.5f}}) {
    const LogMel mel(config);
    for (const size_t count : {401, 560, 1600, 4999, 16000}) {
      const auto samples = sound(count);
      for (const size_t longer : {0, 1, 160, 333, 5000}) {
        const std::vector<std::span<const float>> alone = {samples};
        const std::vector<float> other(count + longer, 0.1f);
        const std::vector<std::span<const float>> both = {samples, other};
        const auto expected = longer ? mel.compute(both) : mel.compute(alone);
        ASSERT_TRUE(expected);
        for (const size_t piece : {size_t{1}, size_t{159}, size_t{1600}, count}) {
          LogMelStream stream(mel);
          for (size_t at = 0; at < count; at += piece) {
            ASSERT_TRUE(stream.append(std::span(samples).subspan(at, std::min(piece, count - at))));
            while (stream.step(7)) {
            }
          }
          ASSERT_TRUE(stream.end(static_cast<int64_t>(count + 77)));  // changed its mind
          ASSERT_TRUE(stream.end(static_cast<int64_t>(count + longer)));
          tensor::Tensor features({stream.frames(), config.mels});
          stream.features(0, stream.loudest(), features.rows());
          ASSERT_EQ(features.shape(), (*expected)[0].shape());
          EXPECT_TRUE(std::ranges::equal(features.span(), (*expected)[0].span())) << count << " + " << longer << " by " << piece;
        }
      }
    }
  }
}

TEST(LogMelStream, RefusesWhatComputeRefuses) {
  const LogMel mel(LogMelConfig{});
  LogMelStream stream(mel);
  EXPECT_FALSE(stream.end(0));
  ASSERT_TRUE(stream.append(std::vector<float>(200)));
  EXPECT_EQ(stream.end(200).error().message, mel.compute(std::vector<float>(200)).error().message);
  EXPECT_FALSE(stream.append(std::vector<float>(3, NAN)));
}

}  // namespace
}  // namespace calliope::model
