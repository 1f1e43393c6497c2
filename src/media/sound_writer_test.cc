#include "media/sound_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "media/decode.h"
#include "media/test_files.h"
#include "media/worker.h"

namespace calliope::media {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr int kRate = 24000;
constexpr SoundFormat kFormats[] = {SoundFormat::wav,  SoundFormat::pcm16, SoundFormat::mp3,
                                    SoundFormat::opus, SoundFormat::aac,   SoundFormat::flac};

Bytes written(const std::vector<float>& samples, SoundFormat format, size_t piece, double speed = 1) {
  const auto writer = SoundWriter::open({.format = format, .rate = kRate, .speed = speed});
  EXPECT_TRUE(writer) << writer.error().message;
  Bytes bytes;
  for (size_t at = 0; at < samples.size(); at += piece) {
    EXPECT_TRUE((*writer)->push(std::span(samples).subspan(at, std::min(piece, samples.size() - at)), bytes));
  }
  EXPECT_TRUE((*writer)->finish(bytes));
  return bytes;
}

// Zero crossings upwards in a second of the middle.
double pitch(const std::vector<float>& samples, double rate) {
  const size_t from = samples.size() / 4, to = samples.size() * 3 / 4;
  int crossings = 0;
  for (size_t i = from + 1; i < to; ++i) crossings += samples[i - 1] < 0 && samples[i] >= 0;
  return crossings / (double(to - from) / rate);
}

TEST(SoundWriter, WhatIsWrittenIsReadBack) {
  DecodePool pool({.workers = 1, .command = {CALLIOPE_MEDIA_WORKER}});
  const auto tone = test::sine(kRate, 220, 1.5);
  for (const SoundFormat format : kFormats) {
    if (format == SoundFormat::pcm16) continue;
    const Bytes bytes = written(tone, format, 1920);
    const auto read = pool.sound(bytes);
    ASSERT_TRUE(read) << int(format) << ": " << read.error().message;
    EXPECT_NEAR(double(read->size()) / kSoundRate, 1.5,
                format == SoundFormat::wav || format == SoundFormat::flac ? 0.001 : 0.12)
        << int(format);
    EXPECT_NEAR(pitch(*read, kSoundRate), 220, 2) << int(format);
  }
}

TEST(SoundWriter, PiecesOfAnySizeGiveTheSameBytes) {
  const auto tone = test::sine(kRate, 330, 0.7);
  for (const SoundFormat format : kFormats) {
    for (const double speed : {1.0, 0.5, 1.7}) {
      const Bytes whole = written(tone, format, tone.size(), speed);
      EXPECT_GT(whole.size(), 500u);
      for (const size_t piece : {333, 1920})
        EXPECT_TRUE(written(tone, format, piece, speed) == whole) << int(format) << " " << speed;
    }
  }
}

TEST(SoundWriter, ComesAsItIsWritten) {
  const auto tone = test::sine(kRate, 220, 1);
  for (const SoundFormat format : kFormats) {
    const auto writer = SoundWriter::open({.format = format, .rate = kRate});
    Bytes bytes;
    ASSERT_TRUE((*writer)->push(std::span(tone).first(kRate / 2), bytes));
    const size_t half = bytes.size();
    ASSERT_TRUE((*writer)->push(std::span(tone).subspan(kRate / 2), bytes));
    ASSERT_TRUE((*writer)->finish(bytes));
    EXPECT_GT(half, bytes.size() / 4) << int(format);
  }
}

TEST(SoundWriter, SpeedKeepsThePitch) {
  const auto tone = test::sine(kRate, 220, 2);
  for (const double speed : {0.25, 0.5, 0.9, 1.5, 2.0, 4.0}) {
    const Bytes bytes = written(tone, SoundFormat::pcm16, 1000, speed);
    std::vector<float> samples;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2)
      samples.push_back(static_cast<int16_t>(bytes[i] | bytes[i + 1] << 8) / 32768.0f);
    EXPECT_NEAR(double(samples.size()) / kRate, 2 / speed, 0.05 + 0.03 / speed) << speed;
    EXPECT_NEAR(pitch(samples, kRate), 220, 6) << speed;
  }
}

TEST(SoundWriter, AnEmptySoundIsAFile) {
  for (const SoundFormat format : kFormats) {
    const Bytes bytes = written({}, format, 1);
    EXPECT_EQ(bytes.size() == 44, format == SoundFormat::wav);
  }
  const Bytes clipped = written({2.0f, -2.0f}, SoundFormat::pcm16, 2);
  EXPECT_EQ(clipped, (Bytes{0xff, 0x7f, 0x01, 0x80}));
}

}  // namespace
}  // namespace calliope::media
