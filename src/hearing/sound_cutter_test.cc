#include "hearing/sound_cutter.h"

#include <gtest/gtest.h>

#include "hearing/test_recording.h"

namespace calliope::hearing {
namespace {

constexpr int kRate = Recording::kRate;

std::vector<Stretch> cut(const Recording& recording, double most_s, double join_s) {
  return cut_at_silences(recording.samples,
                         {.most_samples = std::llround(most_s * kRate), .join_samples = std::llround(join_s * kRate)});
}

/// Begin and end, in seconds.
void expect_near(const Stretch& stretch, double begin_s, double end_s) {
  EXPECT_NEAR(static_cast<double>(stretch.begin) / kRate, begin_s, 0.12);
  EXPECT_NEAR(static_cast<double>(stretch.end) / kRate, end_s, 0.12);
}

TEST(SoundCutter, CutsWhereNobodySpeaks) {
  Recording talk;
  talk.add(2).add(1.5, 0.3f).add(3).add(1, 0.3f).add(0.7).add(1, 0.3f).add(4);
  const auto apart = cut(talk, 8, 0.5);
  ASSERT_EQ(apart.size(), 3u);
  expect_near(apart[0], 1.75, 3.75);
  expect_near(apart[1], 6.25, 7.75);
  expect_near(apart[2], 7.95, 9.45);
  EXPECT_EQ(cut(talk, 8, 1).size(), 2u);
  const auto together = cut(talk, 8, 4);  // as much as fits
  ASSERT_EQ(together.size(), 1u);
  expect_near(together[0], 1.75, 9.45);
}

TEST(SoundCutter, SpeechWithoutSilenceIsCutWhereItIsLeastLoud) {
  Recording talk;
  talk.add(5, 0.3f).add(0.1, 0.02f).add(7.5, 0.3f);
  const auto pieces = cut(talk, 8, 4);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_NEAR(static_cast<double>(pieces[0].end) / kRate, 5.05, 0.05);
  EXPECT_EQ(pieces[0].end, pieces[1].begin);
  EXPECT_EQ(pieces[1].end, std::ssize(talk.samples));
  for (const Stretch& piece : pieces) EXPECT_LE(piece.size(), 8 * kRate + kRate / 8);
}

TEST(SoundCutter, WhatBeginsWithSpeechIsHeardFromItsBeginning) {
  Recording talk;
  talk.add(1, 0.3f).add(1);
  const auto pieces = cut(talk, 8, 4);
  ASSERT_EQ(pieces.size(), 1u);
  expect_near(pieces[0], 0, 1.25);
}

TEST(SoundCutter, SilenceIsNothing) {
  EXPECT_TRUE(cut_at_silences(std::vector<float>(kRate * 60), {}).empty());
  EXPECT_TRUE(cut_at_silences({}, {}).empty());
  Recording quiet;
  EXPECT_TRUE(cut(quiet.add(60), 8, 4).empty());
  // But what fits into one piece is left to the model, unless there is nothing at all to hear.
  Recording hum;
  for (int i = 0; i < kRate; ++i) hum.samples.push_back(0.002f * static_cast<float>(i % 100) / 100);
  EXPECT_EQ(cut(hum, 8, 4), (std::vector<Stretch>{{0, kRate}}));
}

TEST(SoundCutter, AnySoundGivesStretchesInOrder) {
  std::mt19937 random(5);
  for (int round = 0; round < 40; ++round) {
    Recording talk;
    const auto pick = [&](double most) { return std::uniform_real_distribution<double>(0, most)(random); };
    for (int i = 0; i < 6; ++i) talk.add(pick(4), random() % 2 == 0 ? 0.3f : 0);
    talk.samples.resize(talk.samples.size() - random() % 320);
    const int64_t most = 16000 * (1 + static_cast<int64_t>(random() % 8));
    int64_t last = 0;
    for (const Stretch& piece : cut_at_silences(
             talk.samples, {.most_samples = most, .join_samples = static_cast<int64_t>(random() % 48000)})) {
      EXPECT_GE(piece.begin, last);
      EXPECT_GT(piece.end, piece.begin);
      EXPECT_LE(piece.size(), most + 640);
      last = piece.end;
    }
    EXPECT_LE(last, std::ssize(talk.samples));
  }
}

}  // namespace
}  // namespace calliope::hearing
