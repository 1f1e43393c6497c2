#include "reading/passages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace calliope::reading {
namespace {

std::vector<std::string> cut(std::string_view text, size_t most) {
  std::vector<std::string> pieces;
  for (const Passage& passage : passages(text, most))
    pieces.emplace_back(text.substr(passage.begin, passage.end - passage.begin));
  return pieces;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Passages, SentencesGoTogetherAsFarAsTheyFit) {
  EXPECT_THAT(cut("One. Two! Three? Four.", 100), ElementsAre("One. Two! Three? Four."));
  EXPECT_THAT(cut("One. Two! Three? Four.", 10), ElementsAre("One. Two!", "Three?", "Four."));
  EXPECT_EQ(passages("One. Two! Three?", 100, 1).size(), 3u);
  EXPECT_EQ(passages("One. Two! Three?", 100, 2).size(), 2u);
  EXPECT_THAT(cut("One.\n\nTwo.", 100), ElementsAre("One.", "Two."));
  EXPECT_THAT(cut("One line\nof two lines. Yes.", 100), ElementsAre("One line\nof two lines. Yes."));
}

TEST(Passages, FullStopsThatEndNothing) {
  EXPECT_THAT(cut("Mr. Brown met J. K. Rowling at 3.5 km. Then they left.", 40),
              ElementsAre("Mr. Brown met J. K. Rowling at 3.5 km.", "Then they left."));
  EXPECT_THAT(cut("Pens etc. are here. I am I. Yes.", 20), ElementsAre("Pens etc. are here.", "I am I. Yes."));
  EXPECT_THAT(cut("\"Stop!\" he said. (Really?) Yes.", 15), ElementsAre("\"Stop!\"", "he said.", "(Really?) Yes."));
}

TEST(Passages, LongSentencesAreCutAtCommasThenBetweenWords) {
  EXPECT_THAT(cut("When it rains, the street is wet and cold.", 20),
              ElementsAre("When it rains,", "the street is wet", "and cold."));
  EXPECT_THAT(cut("aaaaaaaaaaaaaaaaaaaa", 8), ElementsAre("aaaaaaaa", "aaaaaaaa", "aaaa"));
  EXPECT_THAT(cut("\u4f60\u597d\u4f60\u597d", 3), ElementsAre("\u4f60\u597d\u4f60", "\u597d"));
}

TEST(Passages, PausesAreLongerBetweenParagraphs) {
  const auto found = passages("One one, one one. Two.\n\nThree.", 10);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_LT(found[0].pause_s, found[1].pause_s);  // a comma and a full stop
  EXPECT_LT(found[1].pause_s, found[2].pause_s);  // and a paragraph
  EXPECT_EQ(found[3].pause_s, 0);
}

TEST(Passages, WhatCannotBeSaidIsLeftOut) {
  EXPECT_THAT(cut("... !!! -- ?", 100), IsEmpty());
  EXPECT_THAT(cut("", 100), IsEmpty());
  EXPECT_THAT(cut("\n\n \n", 100), IsEmpty());
  EXPECT_THAT(cut("Yes. ***\n\n--- No.", 100), ElementsAre("Yes.", "--- No."));
}

// Nothing is lost but blanks and what cannot be said, nothing is doubled, and no passage is too long.
TEST(Passages, AnyBytes) {
  std::mt19937 random(3);
  const std::string_view pieces[] = {"word",         " ",    ". ",  "!",  "?", "\n",  "\n\n", ", ",          "Mr. ",
                                     "\xe4\xbd\xa0", "\xff", "3.5", "\"", ")", "...", "\t",   "\xe3\x80\x82"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (unsigned i = 0; i < random() % 60; ++i) text += pieces[random() % std::size(pieces)];
    const size_t most = 1 + random() % 40;
    size_t end = 0;
    for (const Passage& passage : passages(text, most)) {
      ASSERT_GE(passage.begin, end) << text;
      ASSERT_LT(passage.begin, passage.end) << text;
      ASSERT_FALSE(can_be_said(std::string_view(text).substr(end, passage.begin - end))) << text;
      size_t characters = 0;
      for (size_t at = passage.begin; at < passage.end; ++at)
        characters += (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
      ASSERT_LE(characters, most) << text;
      end = passage.end;
    }
    ASSERT_FALSE(can_be_said(std::string_view(text).substr(end))) << text;
  }
  for (const std::string_view piece : pieces) {
    std::string text;
    while (text.size() < 200'000) text += piece;
    passages(text, 80);
  }
}

}  // namespace
}  // namespace calliope::reading
