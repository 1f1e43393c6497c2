#include "reading/pronunciations.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace calliope::reading {
namespace {

TEST(Pronunciations, EveryLineIsFound) {
  std::string_view lines = pronunciation_lines();
  std::string_view before;
  size_t count = 0;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const size_t space = line.find(' ');
    ASSERT_NE(space, std::string_view::npos) << line;
    EXPECT_LT(before, line);
    EXPECT_EQ(pronunciation(line.substr(0, space)), line.substr(space + 1)) << line;
    EXPECT_EQ(line.find_first_not_of("abcdefghijklmnopqrstuvwxyz", space + 1), std::string_view::npos) << line;
    before = line;
    ++count;
  }
  EXPECT_GT(count, 50'000u);
}

TEST(Pronunciations, CapitalsDoNotMatterAndWhatIsNotKnownIsEmpty) {
  EXPECT_EQ(pronunciation("enough"), "inxf");
  EXPECT_EQ(pronunciation("Enough"), "inxf");
  EXPECT_EQ(pronunciation("COLONEL"), pronunciation("colonel"));
  for (const char* word : {"", " ", "a", "enoughh", "enoug", "zzzz", "\n", "enough inxf", "\xc3\xa9"})
    EXPECT_EQ(pronunciation(word), "") << word;
  EXPECT_EQ(pronunciation(std::string(100'000, 'a')), "");
}

TEST(Pronunciations, OfAPossessiveTheWordIsEnough) {
  EXPECT_EQ(pronunciation("Colonel's"), "kernulz");
  EXPECT_EQ(pronunciation("saxophonist's"), pronunciation("saxophonist") + "s");
  EXPECT_EQ(pronunciation("porridge's"), pronunciation("porridge") + "uz");
  EXPECT_EQ(pronunciation("xqzzt's"), "");
  EXPECT_EQ(pronunciation("'s"), "");
}

TEST(Pronunciations, OnlyWordsChange) {
  const auto sounds = pronunciation;
  EXPECT_EQ(spelled_as_said("Enough, colonel!").text, sounds("enough") + ", " + sounds("colonel") + "!");
  EXPECT_EQ(spelled_as_said("thirty-cousin").text, sounds("thirty") + "-" + sounds("cousin"));
  EXPECT_EQ(spelled_as_said("a xqzzt, 7 \xc3\xa9").text, "a xqzzt, 7 \xc3\xa9");
  EXPECT_EQ(spelled_as_said("").text, "");
  EXPECT_EQ(spelled_as_said("don't").text, sounds("don't"));
  EXPECT_EQ(spelled_as_said("through'").text, sounds("through") + "'");
}

TEST(Pronunciations, SaysWhereItsPartsComeFrom) {
  const std::string text = "So the colonel, \xe2\x80\x94 had enough of it; xqzzt though.";
  const SpokenText said = spelled_as_said(text);
  size_t text_end = 0, source_end = 0;
  for (const SpokenText::Span& span : said.spans) {
    EXPECT_GT(span.text_end, text_end);
    EXPECT_GT(span.source_end, source_end);
    const auto part = std::string_view(said.text).substr(text_end, span.text_end - text_end);
    const auto source = std::string_view(text).substr(source_end, span.source_end - source_end);
    EXPECT_EQ(part, span.verbatim ? std::string(source) : pronunciation(source));
    text_end = span.text_end, source_end = span.source_end;
  }
  EXPECT_EQ(text_end, said.text.size());
  EXPECT_EQ(source_end, text.size());
  EXPECT_EQ(said.source_bytes(said.text.size()), text.size());
  EXPECT_EQ(said.source_bytes(said.text.find(',')), text.find(','));
}

}  // namespace
}  // namespace calliope::reading
