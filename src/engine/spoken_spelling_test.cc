// An answer's words on their way to a talker that reads them as they sound.
#include "engine/spoken_spelling.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "reading/pronunciations.h"

namespace calliope::engine {
namespace {

std::shared_ptr<const model::Model> nano() {
  static const auto model = *model::load_model(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  return model;
}

struct Said {
  std::string text;      // all pieces, as they stand in the answer
  std::string sounds;    // what the tokens say
  std::string together;  // the pieces, with a bar after each
};

Said said(const std::vector<std::string>& tokens) {
  SpokenSpelling spelling(*nano());
  Said out;
  model::Detokenizer detokenizer(nano()->tokenizer);
  const auto take = [&](const std::vector<SpokenSpelling::Piece>& pieces) {
    for (const auto& piece : pieces) {
      out.text += piece.text;
      out.together += piece.text + "|";
      for (const int32_t token : piece.tokens) out.sounds += detokenizer.push(token);
    }
  };
  for (const std::string& token : tokens) take(spelling.push(token));
  take(spelling.finish());
  out.sounds += detokenizer.finish();
  return out;
}

TEST(SpokenSpelling, SaysEveryWordByItsSounds) {
  const Said it = said({"En", "ough", ", col", "onel", ". Thr", "ough!"});
  EXPECT_EQ(it.text, "Enough, colonel. Through!");
  EXPECT_EQ(it.sounds, reading::spelled_as_said(it.text).text);
  EXPECT_EQ(it.together, "Enough,| colonel.| Through!|");
}

TEST(SpokenSpelling, AWordGoesOutAsSoonAsItIsOver) {
  SpokenSpelling spelling(*nano());
  EXPECT_TRUE(spelling.push("En").empty());
  EXPECT_TRUE(spelling.push("ough").empty());
  ASSERT_EQ(spelling.push(" of").size(), 1u);
  EXPECT_EQ(spelling.finish().at(0).text, " of");
  EXPECT_TRUE(spelling.finish().empty());
}

TEST(SpokenSpelling, FiguresAreReadInWordsAndMarkedAsOne) {
  const Said it = said({"2", "3 plus", " 61", "0 is 63", "3. It", " costs $", "5", " million", ", more", " or less."});
  EXPECT_EQ(it.text, "23 plus 610 is 633. It costs $5 million, more or less.");
  EXPECT_EQ(it.sounds, reading::spelled_as_said("Twenty-three plus six hundred ten is six hundred thirty-three. It costs five million dollars, more or less.").text);
  EXPECT_NE(it.together.find(" 633.|"), std::string::npos) << it.together;
}

TEST(SpokenSpelling, AWordWithoutEndDoesNotWaitForIt) {
  for (const std::string word : {"q", "\xe6\xbc\xa2"}) {
    SpokenSpelling spelling(*nano());
    size_t most = 0, waits = 0;
    for (int i = 0; i < 1000; ++i) {
      waits += word.size();
      for (const auto& piece : spelling.push(word)) {
        waits -= piece.text.size();
        EXPECT_EQ(piece.text.size() % word.size(), 0u);
      }
      most = std::max(most, waits);
    }
    EXPECT_LT(most, 300u);
  }
}

TEST(SpokenSpelling, AnyTextComesBackWhole) {
  for (const std::string text : {"", " ", "\n\n", "**", " - ", "\xc3\xa9t\xc3\xa9 \xe2\x98\x83 5", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25", "a  b\n- c\n1. d\n",
                                 "\xff\xfe \x80", "<|im_end|> x"}) {
    std::vector<std::string> bytes;
    for (const char byte : text) bytes.emplace_back(1, byte);
    EXPECT_EQ(said(bytes).text, text);
    EXPECT_EQ(said({text}).text, text);
  }
}

}  // namespace
}  // namespace calliope::engine
