#include "engine/stop_strings.h"

#include <gtest/gtest.h>

namespace calliope::engine {
namespace {

TEST(StopStrings, PassesEverythingWithoutStops) {
  StopStrings stops({});
  EXPECT_EQ(stops.push("hello"), "hello");
  EXPECT_EQ(stops.finish(), "");
}

TEST(StopStrings, EndsBeforeTheFirstOfThemEvenWhenSplit) {
  const std::string text = "one two END three";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    StopStrings stops({"three", "END", ""});
    std::string out = stops.push(text.substr(0, cut));
    out += stops.push(text.substr(cut));
    EXPECT_TRUE(stops.stopped());
    EXPECT_EQ(out, "one two ") << cut;
  }
}

TEST(StopStrings, HoldsBackAPossibleBeginningAndReleasesIt) {
  StopStrings stops({"abc"});
  EXPECT_EQ(stops.push("xab"), "x");
  EXPECT_EQ(stops.push("ab"), "ab");
  EXPECT_EQ(stops.finish(), "ab");
  EXPECT_FALSE(stops.stopped());
}

}  // namespace
}  // namespace calliope::engine
