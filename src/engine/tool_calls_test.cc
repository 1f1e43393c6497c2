#include "engine/tool_calls.h"

#include <gtest/gtest.h>

namespace calliope::engine {
namespace {

// Pieces as one line: text as it is, calls in brackets.
std::string shown(const std::vector<ToolCallReader::Piece>& pieces) {
  std::string out;
  for (const auto& piece : pieces) {
    if (const auto* text = std::get_if<std::string>(&piece)) out += *text;
    else out += "[" + std::get<assistant::ToolCall>(piece).name + " " + std::get<assistant::ToolCall>(piece).arguments + "]";
  }
  return out;
}

struct Case {
  std::string written, shown;
  int calls = 0;
};

TEST(ToolCalls, ReadTheSameInPiecesOfAnySize) {
  const std::string f = R"(<tool_call>{"name":"f","arguments":{"a": 1.50}}</tool_call>)";
  for (const Case& one : {
           Case{"Hello there.\n", "Hello there.\n"},
           Case{f, R"([f {"a": 1.50}])", 1},
           Case{"Let me see.\n\n" + f, R"(Let me see.[f {"a": 1.50}])", 1},
           Case{"<tool_call>\n{\"name\": \"g\"}\n</tool_call>\n" + f + "\n", R"([g {}][f {"a": 1.50}])", 2},
           Case{f + " Done, 1 < 2.", R"([f {"a": 1.50}] Done, 1 < 2.)", 1},
           Case{R"(<tool_call>{"name":"f","arguments":"{\"a\":2}"}</tool_call>)", R"([f {"a":2}])", 1},
           Case{R"(<tool_call>{"arguments":{"s":"</tool_call>\"}"},"name":"f"}</tool_call>x)", R"([f {"s":"</tool_call>\"}"}]x)", 1},
           Case{R"(<tool_call>{"name":"f","arguments":{"a":{"name":"g","arguments":[]}}}</tool_call>)",
                R"([f {"a":{"name":"g","arguments":[]}}])", 1},
           // The end tag may be missing at the end, not the end of the object.
           Case{R"(<tool_call>{"name":"f","arguments":{}})", "[f {}]", 1},
           Case{R"(<tool_call>{"name":"f","argum)", R"(<tool_call>{"name":"f","argum)"},
           // What is no call is text.
           Case{R"(a <tool_call>{"name":"h"}</tool_call> b)", R"(a<tool_call>{"name":"h"}</tool_call> b)"},
           Case{"<tool_call>f()</tool_call>", "<tool_call>f()</tool_call>"},
           Case{R"(<tool_call>{"name":"f","arguments":[1]}</tool_call>)", R"(<tool_call>{"name":"f","arguments":[1]}</tool_call>)"},
           Case{"<tool_call></tool_call>" + f, R"(<tool_call></tool_call>[f {"a": 1.50}])", 1},
           Case{"a<b <tool <tool_cal", "a<b <tool <tool_cal"},
       }) {
    for (size_t size = 1; size <= one.written.size(); ++size) {
      ToolCallReader reader({"f", "g"});
      std::string out;
      for (size_t at = 0; at < one.written.size(); at += size) out += shown(reader.push(std::string_view(one.written).substr(at, size)));
      out += shown(reader.finish());
      ASSERT_EQ(out, one.shown) << "in pieces of " << size;
      ASSERT_EQ(reader.calls(), one.calls);
    }
  }
}

TEST(ToolCalls, TextIsGivenAtOnceUnlessItMayBecomeACall) {
  ToolCallReader reader({"f"});
  EXPECT_EQ(shown(reader.push("Hi")), "Hi");
  EXPECT_EQ(shown(reader.push(" you ")), " you");
  EXPECT_EQ(shown(reader.push("<")), "");
  EXPECT_EQ(shown(reader.push("b <tool")), " <b");
  EXPECT_EQ(shown(reader.push("s>")), " <tools>");
}

TEST(ToolCalls, WhatIsSaidAloud) {
  const std::string text = "Well. ", call = R"(<tool_call>{"name":"f"}</tool_call>)", broken = "<tool_call>x</tool_call>";
  ToolCallReader reader({"f"});
  using Said = ToolCallReader::Said;
  reader.push(text);
  EXPECT_EQ(reader.said(0, 5), Said::aloud);
  EXPECT_EQ(reader.said(5, 6), Said::later);
  reader.push(call + broken);
  EXPECT_EQ(reader.said(5, 6), Said::silently);
  EXPECT_EQ(reader.said(8, 12), Said::silently);
  EXPECT_EQ(reader.said(10, 10), Said::silently);
  EXPECT_EQ(reader.said(6 + call.size() + 3, 6 + call.size() + 5), Said::silently) << "a broken call is shown, not said";
  reader.push("So");
  const size_t end = text.size() + call.size() + broken.size();
  EXPECT_EQ(reader.said(end, end + 2), Said::aloud);
  EXPECT_EQ(reader.told(0, end + 2), text.size() - 1 + broken.size() + 2) << "all but the call and the blank before it";
  EXPECT_EQ(reader.told(3, 8), 2u);
  EXPECT_EQ(reader.told(8, 8), 0u);
}

TEST(ToolCalls, EveryCallHasItsOwnId) {
  const auto a = parse_tool_call(R"({"name":"f"})", {"f"}), b = parse_tool_call(R"({"name":"f"})", {"f"});
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->id.size(), 29u);
  EXPECT_NE(a->id, b->id);
}

}  // namespace
}  // namespace calliope::engine
