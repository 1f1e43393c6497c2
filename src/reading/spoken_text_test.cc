#include "reading/spoken_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace calliope::reading {
namespace {

struct Case {
  const char* written;
  const char* said;
};

void expect_said(std::initializer_list<Case> cases) {
  for (const auto& [written, said] : cases) EXPECT_EQ(spoken_text(written).text, said) << written;
}

TEST(SpokenText, Numbers) {
  expect_said({
      {"0", "Zero"},
      {"I have 1 dog and 12 cats.", "I have one dog and twelve cats."},
      {"21 34 99", "Twenty-one thirty-four ninety-nine"},
      {"It has 100 pages.", "It has one hundred pages."},
      {"about 2,024 or 1,234,567 people",
       "about two thousand twenty-four or one million two hundred thirty-four thousand five hundred sixty-seven "
       "people"},
      {"1000000000", "One billion"},
      {"3.14 and 0.05", "Three point one four and zero point zero five"},
      {".5 of it", "Point five of it"},
      {"It is -7 outside.", "It is minus seven outside."},
      {"It is \u22127.5 outside.", "It is minus seven point five outside."},
      {"agent 007", "agent zero zero seven"},
      {"12345678901234567890",
       "One two three four five six seven eight nine zero one two three four five six seven eight nine zero"},
      {"version 3.12.1", "version three point twelve point one"},
      {"192.168.0.1", "One hundred ninety-two point one hundred sixty-eight point zero point one"},
      {"1,2,3", "One, two, three"},
      {"You got 5.", "You got five."},
      {"the 1st, 2nd, 3rd, 4th, 12th, 21st and 100th",
       "the first, second, third, fourth, twelfth, twenty-first and one hundredth"},
      {"the 1990s and the '80s", "the nineteen nineties and the eighties"},
      {"1/2 cup, 3/4 cup, 1 1/2 cups", "One half cup, three quarters cup, one and one half cups"},
      {"open 24/7", "open twenty-four seven"},
      {"pages 10-20", "pages ten to twenty"},
      {"aged 5\u20136", "aged five to six"},
      {"a 3-year-old", "a three-year-old"},
      {"2x faster, 1920x1080", "Two times faster, nineteen twenty by ten eighty"},
      {"a 10k run", "a ten thousand run"},
  });
}

TEST(SpokenText, Sums) {
  expect_said({
      {"233 plus 884 is 1117. It is 1984.", "Two hundred thirty-three plus eight hundred eighty-four is one thousand one hundred seventeen. It is nineteen eighty-four."},
      {"3 + 4 = 7", "Three plus four equals seven"},
      {"12 - 5 = 7.", "Twelve minus five equals seven."},
      {"6 * 7 = 42", "Six times seven equals forty-two"},
      {"6 \u00d7 7", "Six times seven"},
      {"8 / 2 = 4", "Eight divided by two equals four"},
      {"8 \u00f7 2", "Eight divided by two"},
      {"2+2=4", "Two plus two equals four"},
      {"x^2 + y^2", "x squared plus y squared"},
      {"2^10", "Two to the power of ten"},
      {"5 > 3 and 2 < 4", "Five greater than three and two less than four"},
      {"x >= 5", "x at least five"},
      {"\u221a9 \u2248 3", "The square root of nine about three"},
      {"5 \u00b1 1", "Five plus or minus one"},
  });
}

TEST(SpokenText, Dates) {
  expect_said({
      {"on 2026-11-25", "on November twenty-fifth, twenty twenty-six"},
      {"25 Nov 2026", "The twenty-fifth of November, twenty twenty-six"},
      {"on the 3rd March 1905", "on the third of March, nineteen oh five"},
      {"11/25/2026", "November twenty-fifth, twenty twenty-six"},
      {"25/11/2026", "November twenty-fifth, twenty twenty-six"},
      {"25.11.2026", "November twenty-fifth, twenty twenty-six"},
      {"November 25, 2026 was", "November twenty-fifth, twenty twenty-six was"},
      {"Nov. 25", "November twenty-fifth"},
      {"July 4th", "July fourth"},
      {"May 2000", "May two thousand"},
      {"You may 5 times", "You may five times"},
      {"in 1984", "in nineteen eighty-four"},
      {"In 1066, 1900 and 2005", "In ten sixty-six, nineteen hundred and two thousand five"},
      {"by 2030", "by twenty thirty"},
      {"2048 files", "Two thousand forty-eight files"},
      {"from 1914-1918", "from nineteen fourteen to nineteen eighteen"},
  });
}

TEST(SpokenText, Times) {
  expect_said({
      {"at 14:05", "at fourteen oh five"},
      {"at 9:30", "at nine thirty"},
      {"at 9:00.", "at nine o'clock."},
      {"at 14:00", "at fourteen hundred"},
      {"3 pm", "Three p m"},
      {"3pm and 10:15 AM", "Three p m and ten fifteen a m"},
      {"at 3 p.m. we", "at three p m we"},
      {"at 3 p.m. We", "at three p m. We"},
      {"09:05:30", "Nine oh five and thirty seconds"},
      {"2026-11-25T08:00", "November twenty-fifth, twenty twenty-six eight o'clock"},
  });
}

TEST(SpokenText, Money) {
  expect_said({
      {"$3.50", "Three dollars and fifty cents"},
      {"It costs $1.", "It costs one dollar."},
      {"\u00a35", "Five pounds"},
      {"\u00a35.01", "Five pounds and one penny"},
      {"\u20ac1,200", "One thousand two hundred euros"},
      {"5 \u20ac", "Five euros"},
      {"$0.99", "Ninety-nine cents"},
      {"$1.00", "One dollar"},
      {"-$20", "Minus twenty dollars"},
      {"$2.5 million and $3B", "Two point five million dollars and three billion dollars"},
      {"\u00a5500", "Five hundred yen"},
      {"20 USD", "Twenty dollars"},
  });
}

TEST(SpokenText, Units) {
  expect_said({
      {"5 km", "Five kilometres"},
      {"1 km", "One kilometre"},
      {"5km", "Five kilometres"},
      {"20 \u00b0C", "Twenty degrees Celsius"},
      {"-3\u00b0F", "Minus three degrees Fahrenheit"},
      {"10%", "Ten percent"},
      {"99.9 % of", "Ninety-nine point nine percent of"},
      {"100 km/h", "One hundred kilometres per hour"},
      {"2.4 GHz, 16 GB", "Two point four gigahertz, sixteen gigabytes"},
      {"80 kg and 1.8 m tall", "Eighty kilograms and one point eight metres tall"},
      {"5-10 km", "Five to ten kilometres"},
      {"3 main points", "Three main points"},
      {"50 m\u00b2", "Fifty square metres"},
  });
}

TEST(SpokenText, Abbreviations) {
  expect_said({
      {"Dr. Smith met Mr. Brown and Mrs Jones.", "Doctor Smith met Mister Brown and Missus Jones."},
      {"fruit, e.g. apples", "fruit, for example apples"},
      {"that is, i.e., this", "that is, that is, this"},
      {"apples, pears, etc.", "apples, pears, et cetera."},
      {"pens etc. are", "pens et cetera are"},
      {"cats vs. dogs vs birds", "cats versus dogs versus birds"},
      {"No. 5", "Number five"},
      {"No. That is wrong.", "No. That is wrong."},
      {"St. Paul and Main St.", "Saint Paul and Main Street"},
      {"Smith Jr. and Co.", "Smith Junior and Company."},
      {"the U.S. Army", "the U S Army"},
      {"a Ph.D. student", "a P H D student"},
      {"this and/or that w/o it", "this and or that without it"},
      {"see p. 12", "see page twelve"},
      {"World War II", "World War two"},
      {"Henry VIII", "Henry the eighth"},
      {"the part I like", "the part I like"},
  });
}

TEST(SpokenText, Initialisms) {
  expect_said({
      {"USB and API", "U S B and A P I"},
      {"The CPUs", "The C P U's"},
      {"NASA and NATO", "Nasa and Nato"},
      {"HTML", "H T M L"},
      {"MP3", "M P three"},
      {"GPT-4", "G P T four"},
      {"COVID-19", "Covid nineteen"},
      {"H2O and 5G", "H two O and five G"},
      {"STOP THE CAR", "STOP THE CAR"},
      {"OK", "Okay"},
      {"I am A. B. Smith", "I am A. B. Smith"},
      {"IEEE", "I triple E"},
  });
}

TEST(SpokenText, AddressesAndPhones) {
  expect_said({
      {"https://www.example.com/docs", "Example dot com slash docs"},
      {"See example.org.", "See example dot org."},
      {"http://localhost:8080/v1", "Localhost colon eight zero eight zero slash V one"},
      {"john.smith@mail.com", "John dot smith at mail dot com"},
      {"Call 555-1234.", "Call five five five, one two three four."},
      {"(555) 123-4567", "Five five five, one two three, four five six seven"},
      {"+44 20 7946 0958", "Plus four four, two zero, seven nine four six, zero nine five eight"},
      {"end.Then", "end.Then"},
  });
}

TEST(SpokenText, MarkupAndSymbols) {
  expect_said({
      {"# Title\nText", "Title\n\nText"},
      {"- one\n- two", "one\n\ntwo"},
      {"**bold** and _slanted_ `code`", "bold and slanted code"},
      {"un**believ**able", "unbelievable"},
      {"[the page](https://a.b/c)", "the page"},
      {"![a cat](cat.png)", "a cat"},
      {"> quoted", "quoted"},
      {"one\n\n---\n\ntwo", "one\n\ntwo"},
      {"<b>bold</b>", "bold"},
      {"salt & pepper", "salt and pepper"},
      {"snake_case", "snake case"},
      {"a \u2192 b", "a to b"},
      {"\u201cHi,\u201d she said.", "Hi, she said."},
      {"don\u2019t", "don't"},
      {"caf\u00e9 na\u00efve", "cafe naive"},
      {"great \U0001f600 day", "great day"},
      {"zero\u200bwidth", "zerowidth"},
      {"one \u2014 two", "one, two"},
      {"wait...", "wait."},
      {"yes (or no) maybe", "yes, or no, maybe"},
      {"Note: this; that", "Note, this, that"},
      {"#1 @home", "Number one at home"},
      {"\u4f60\u597d", "\u4f60\u597d"},
      {"C++", "C plus plus"},
      {"Hello   there.", "Hello there."},
      {"", ""},
      {"...", ""},
  });
}

TEST(SpokenText, WhatIsPlainStays) {
  for (const char* text :
       {"The capital of France is Paris.", "I'm fine, and you?", "Well-known dogs' toys!", "What's that?"}) {
    EXPECT_EQ(spoken_text(text).text, text);
  }
}

TEST(SpokenText, KnowsWhereWordsComeFrom) {
  const std::string text = "At 14:05 it costs $3.50, caf\u00e9.";
  const SpokenText spoken = spoken_text(text);
  const auto said_by = [&](std::string_view words) {
    return text.substr(0, spoken.source_bytes(spoken.text.find(words) + words.size()));
  };
  EXPECT_EQ(said_by("At"), "At");
  EXPECT_EQ(said_by("fourteen"), "At ");  // the time is not over
  EXPECT_EQ(said_by("oh five"), "At 14:05");
  EXPECT_EQ(said_by("costs"), "At 14:05 it costs");
  EXPECT_EQ(said_by("cents"), "At 14:05 it costs $3.50");
  EXPECT_EQ(spoken.source_bytes(spoken.text.size()), text.size());
  EXPECT_EQ(verbatim_text(text).source_bytes(9), 9u);
}

// Whatever the bytes: the spans are whole and in order, and it takes no longer than it should.
TEST(SpokenText, AnyBytes) {
  std::mt19937 random(5);
  const std::string_view pieces[] = {"1",
                                     "23",
                                     ".",
                                     ",",
                                     "-",
                                     "/",
                                     ":",
                                     " ",
                                     "\n",
                                     "$",
                                     "%",
                                     "km",
                                     "Dr.",
                                     "USB",
                                     "@",
                                     "a",
                                     "(",
                                     ")",
                                     "*",
                                     "#",
                                     "[",
                                     "](",
                                     "\xc3",
                                     "\xa9",
                                     "\xff",
                                     "\xf0\x9f\x98\x80",
                                     "Nov",
                                     "pm",
                                     "www.",
                                     "http://",
                                     "|",
                                     "^",
                                     "=",
                                     "<",
                                     ">",
                                     "e.g.",
                                     "'",
                                     "\xe2\x80\x94",
                                     "_",
                                     "`",
                                     std::string_view("\0", 1)};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 24; ++i) text += pieces[random() % std::size(pieces)];
    const SpokenText spoken = spoken_text(text);
    size_t text_end = 0, source_end = 0;
    for (const auto& span : spoken.spans) {
      ASSERT_LE(text_end, span.text_end) << text;
      ASSERT_LE(source_end, span.source_end) << text;
      text_end = span.text_end;
      source_end = span.source_end;
    }
    ASSERT_EQ(text_end, spoken.text.size()) << text;
    ASSERT_EQ(source_end, text.size()) << text;
    size_t before = 0;
    for (size_t at = 0; at <= spoken.text.size(); ++at) {
      ASSERT_GE(spoken.source_bytes(at), before) << text;
      before = spoken.source_bytes(at);
    }
  }
  for (const std::string_view piece : pieces) {
    std::string text;
    while (text.size() < 200'000) text += piece;
    EXPECT_LE(spoken_text(text).text.size(), 20 * text.size());
  }
}

}  // namespace
}  // namespace calliope::reading
