#include "media/wire_sound.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace calliope::media {
namespace {

std::vector<float> tone(double hz, int rate, double seconds, float gain = 0.5f) {
  std::vector<float> samples(static_cast<size_t>(rate * seconds));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = gain * static_cast<float>(std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  }
  return samples;
}

double snr_db(std::span<const float> got, std::span<const float> want, size_t margin) {
  double signal = 0, noise = 0;
  for (size_t i = margin; i + margin < want.size(); ++i) {
    signal += want[i] * want[i];
    noise += (got[i] - want[i]) * (got[i] - want[i]);
  }
  return 10 * std::log10(signal / noise);
}

TEST(WireSound, KnownG711Values) {
  // ITU-T G.711: the extremes and the values around zero.
  const uint8_t mulaw[] = {0x00, 0x80, 0xff, 0x7f, 0xef};
  std::vector<float> samples;
  from_wire(mulaw, WireFormat::mulaw, samples);
  EXPECT_EQ(samples, (std::vector<float>{-32124 / 32768.0f, 32124 / 32768.0f, 0, 0, 132 / 32768.0f}));
  const uint8_t alaw[] = {0x2a, 0xaa, 0xd5, 0x55, 0x80};
  samples.clear();
  from_wire(alaw, WireFormat::alaw, samples);
  EXPECT_EQ(samples,
            (std::vector<float>{-32256 / 32768.0f, 32256 / 32768.0f, 8 / 32768.0f, -8 / 32768.0f, 5504 / 32768.0f}));
}

TEST(WireSound, EveryCodeComesBack) {
  for (const auto format : {WireFormat::mulaw, WireFormat::alaw}) {
    for (int code = 0; code < 256; ++code) {
      const uint8_t byte[] = {static_cast<uint8_t>(code)};
      std::vector<float> sample;
      from_wire(byte, format, sample);
      std::vector<uint8_t> back;
      to_wire(sample, format, back);
      if (format == WireFormat::mulaw && code == 0x7f) continue;  // minus zero
      EXPECT_EQ(back[0], code) << static_cast<int>(format);
    }
  }
}

TEST(WireSound, Pcm16IsLittleEndianAndClips) {
  std::vector<uint8_t> bytes;
  to_wire(std::vector<float>{0.0f, 1.5f, -1.5f, 0.25f}, WireFormat::pcm16, bytes);
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0, 0, 0xff, 0x7f, 0x01, 0x80, 0x00, 0x20}));
  std::vector<float> samples;
  from_wire(std::vector<uint8_t>{0x00, 0x80, 0xff, 0x7f}, WireFormat::pcm16, samples);
  EXPECT_EQ(samples, (std::vector<float>{-1.0f, 32767 / 32768.0f}));
}

TEST(Resampler, KeepsTonesAndLength) {
  const struct {
    int from, to;
  } cases[] = {{24000, 16000}, {8000, 16000}, {24000, 8000}};
  for (const auto& [from, to] : cases) {
    const auto got = resample(tone(700, from, 0.5), from, to);
    const auto want = tone(700, to, 0.5);
    ASSERT_EQ(got.size(), want.size()) << from << " to " << to;
    EXPECT_GT(snr_db(got, want, 200), 50) << from << " to " << to;
  }
}

TEST(Resampler, TakesAwayWhatTheLowerRateCannotHold) {
  const auto got = resample(tone(10'000, 24000, 0.5), 24000, 16000);
  double energy = 0;
  for (size_t i = 200; i + 200 < got.size(); ++i) energy += got[i] * got[i];
  EXPECT_LT(energy / static_cast<double>(got.size()), 1e-5);
}

TEST(Resampler, PiecesOfAnySizeGiveTheSameSamples) {
  const auto in = tone(440, 24000, 0.3);
  const auto whole = resample(in, 24000, 16000);
  for (const size_t step : {1u, 7u, 480u, 5000u}) {
    Resampler resampler(24000, 16000);
    for (int again = 0; again < 2; ++again) {  // and a second sound does not hear the first
      std::vector<float> out;
      for (size_t i = 0; i < in.size(); i += step) {
        resampler.push(std::span(in).subspan(i, std::min(step, in.size() - i)), out);
      }
      resampler.finish(out);
      ASSERT_EQ(out.size(), whole.size());
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], whole[i], 1e-6) << step << " at " << i;
    }
  }
}

}  // namespace
}  // namespace calliope::media
