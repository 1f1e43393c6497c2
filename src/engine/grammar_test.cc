// What a schema lets through, byte by byte.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "engine/grammar_matcher.h"

namespace calliope::engine {
namespace {

std::shared_ptr<const Grammar> grammar_of(const std::string& schema) {
  auto grammar = Grammar::of_schema(schema);
  EXPECT_TRUE(grammar) << schema << ": " << grammar.error().message;
  return grammar.value_or(nullptr);
}

bool allows(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  GrammarMatcher matcher(grammar);
  return matcher.push(text) && matcher.complete();
}

struct Case {
  std::string schema;
  std::vector<std::string> yes, no;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"{}",
       {"1", "null", "true", "\"a\"", "[]", "{}", R"({"a":[1,{"b":null}],"c":-0.5e-3})", "[ 1 ,\n 2 ]", "0", "-0", "12.50"},
       {"", "nul", "[1,]", "{,}", R"({"a"})", R"({a:1})", "01", "1.", "1e", "+1", ".5", "--1", "[1 2]", "1 ", " 1", "\"a", "[1]]", "'a'", "tru", "NaN"}},
      {R"({"type":"string"})",
       {R"("")", R"("é😀")", R"("\n\"\\\/\u00e9")", "\"\x7f\""},
       {"\"\n\"", "\"\xff\"", "\"\xc3\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", R"("\x")", R"("\ud83d")", R"("\u00g0")", "1"}},
      {R"({"type":"string","minLength":2,"maxLength":3})", {R"("éé")", R"("abc")", R"("\n\u0041")"}, {R"("a")", R"("abcd")", R"("ééé\n")"}},
      {R"({"enum":["red","green","re",1,12,null,{"a":[true]}]})",
       {R"("red")", R"("re")", "1", "12", "null", R"({"a":[true]})"},
       {R"("r")", R"("blue")", "2", "121", R"({"a":[false]})", R"("reed")"}},
      {R"({"const":"a\"b"})", {R"("a\"b")"}, {R"("a")", R"("ab")"}},
      {R"({"type":"integer"})", {"0", "-12", "123456789012345"}, {"1.0", "1e2", "1234567890123456", "-"}},
      {R"({"type":["integer","null"]})", {"4", "null"}, {"\"4\"", "4.5"}},
      {R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]})",
       {R"({"city":"Rome"})", R"({"days":2,"city":"Rome"})", R"({ "city": "Rome" , "days": 2 })", "{\n  \"city\": \"x\"\n}"},
       {"{}", R"({"days":2})", R"({"city":1})", R"({"city":"a","city":"b"})", R"({"city":"a","x":1})", R"({"cit":"a"})", R"({"city":"a",})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"},"required":["b"]})",
       {R"({"b":"x"})", R"({"a":1,"b":"x","é":"y"})", R"({"ab":"x","b":""})"},
       {"{}", R"({"a":"x","b":"y"})", R"({"b":1})", R"({"b":"x","c":1})", R"({"b":"x","\u0061":"y"})"}},
      {R"({"type":"object"})", {"{}", R"({"a":{"b":[1,"x"]}})"}, {"[]", "1"}},
      {R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2})", {"[true]", "[true,false]"}, {"[]", "[true,false,true]", "[1]"}},
      {R"({"anyOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                    {"type":"object","properties":{"kind":{"const":"b"},"y":{"type":"string"}},"required":["kind","y"]}]})",
       {R"({"kind":"a","x":1})", R"({"kind":"b","y":""})", R"({"y":"","kind":"b"})"},
       {R"({"kind":"a","y":""})", R"({"kind":"b","x":1})", R"({"x":1,"kind":"b"})", R"({"kind":"a"})"}},
      {R"({"$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},
          "required":["v"]}},"$ref":"#/$defs/tree"})",
       {R"({"v":1})", R"({"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]})"},
       {R"({"kids":[]})", R"({"v":1,"kids":[{"kids":[]}]})"}},
      {R"({"anyOf":[{"$ref":"#"},{"type":"null"},{"type":"array","items":{"$ref":"#"}}]})", {"null", "[null,[[]]]"}, {"1", "[1]"}},
      {R"({"type":"object","properties":{"a\"\n":{"type":"null"},"a/b":{"$ref":"#/properties/a~1b/x"}},"x":1})", {}, {}},
      {R"({"title":"T","description":"d","default":1,"format":"x","type":"number","examples":[2]})", {"-1.25", "1e10"}, {"\"1\""}},
      {R"({"type":"object","properties":{"a\"b":{"type":"null"},"a":{"type":"null"}},"required":["a\"b"]})",
       {R"({"a\"b":null})", R"({"a":null,"a\"b":null})"},
       {R"({"a":null})", R"({"a\":null})"}},
  };
  return all;
}

TEST(Grammar, LetsThroughWhatTheSchemaAllows) {
  for (const Case& one : cases()) {
    if (one.yes.empty()) {
      EXPECT_FALSE(Grammar::of_schema(one.schema)) << one.schema;
      continue;
    }
    const auto grammar = grammar_of(one.schema);
    ASSERT_TRUE(grammar);
    for (const auto& text : one.yes) EXPECT_TRUE(allows(grammar, text)) << one.schema << " does not allow " << text;
    for (const auto& text : one.no) EXPECT_FALSE(allows(grammar, text)) << one.schema << " allows " << text;
  }
}

// Bytes at random among those allowed: nothing gets stuck, the shortest way out is as long as it is said to be, and what
// comes out is JSON.
TEST(Grammar, EveryWayCanBeCompletedByTheShortest) {
  std::mt19937 random(7);
  for (const Case& one : cases()) {
    if (one.yes.empty()) continue;
    const auto grammar = grammar_of(one.schema);
    for (int round = 0; round < 20; ++round) {
      GrammarMatcher matcher(grammar);
      EXPECT_EQ(matcher.least_bytes_left(), grammar->at(grammar->root).least_bytes);
      std::string text;
      const int wild = round * 4;
      for (int step = 0; !matcher.ended(); ++step) {
        const int64_t left = matcher.least_bytes_left();
        if (step >= wild && left == 0) break;
        std::vector<unsigned char> allowed;
        for (int byte = 0; byte < 256; ++byte) {
          GrammarMatcher copy = matcher;
          if (!copy.push(static_cast<unsigned char>(byte))) continue;
          if (step < wild || copy.least_bytes_left() == left - 1) allowed.push_back(static_cast<unsigned char>(byte));
        }
        if (allowed.empty() && left == 0) break;  // a number
        ASSERT_FALSE(allowed.empty()) << one.schema << " is stuck after " << text << ", " << left << " bytes from its end";
        text += static_cast<char>(allowed[random() % allowed.size()]);
        ASSERT_TRUE(matcher.push(static_cast<unsigned char>(text.back())));
      }
      ASSERT_TRUE(matcher.complete());
      boost::json::error_code error;
      boost::json::parse(text, error);
      ASSERT_FALSE(error) << error.message() << " of " << text;
    }
  }
}

struct Refused {
  const char *schema, *message;
  ErrorCode code = ErrorCode::invalid_argument;
};

TEST(Grammar, WhatCannotBeHeldIsNamedWithItsPlace) {
  constexpr auto kUnsupported = ErrorCode::unsupported;
  for (const Refused& one : {
           Refused{"{", "no JSON"},
           Refused{"[]", "at # is no object"},
           Refused{"false", "no value fits"},
           Refused{R"({"properties":{"a":{"pattern":"x"}}})", "'pattern' at #/properties/a", kUnsupported},
           Refused{R"({"items":{"minimum":1}})", "'minimum' at #/items", kUnsupported},
           Refused{R"({"uniqueItems":true})", "'uniqueItems'", kUnsupported},
           Refused{R"({"type":"string","anyOf":[{}]})", "'anyOf' at # stands beside 'type'", kUnsupported},
           Refused{R"({"allOf":[{},{}]})", "'allOf'", kUnsupported},
           Refused{R"({"type":"strng"})", "the type 'strng'"},
           Refused{R"({"type":"integer","enum":["a"]})", "no value that its 'enum'"},
           Refused{R"({"$ref":"#/$defs/x"})", "#/$defs/x, which is not there"},
           Refused{R"({"$ref":"http://a/b"})", "'$ref'", kUnsupported},
           Refused{R"({"properties":{},"required":["a"]})", "requires 'a'"},
           Refused{R"({"minItems":3,"maxItems":2})", "'minItems' above"},
           Refused{R"({"minLength":-1})", "'minLength'"},
           Refused{R"({"$ref":"#"})", "without an end"},
           Refused{R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", "without an end"},
       }) {
    const auto grammar = Grammar::of_schema(one.schema);
    ASSERT_FALSE(grammar) << one.schema;
    EXPECT_NE(grammar.error().message.find(one.message), std::string::npos) << grammar.error().message;
    EXPECT_EQ(grammar.error().code, one.code) << one.schema;
  }
  std::string deep, wide = R"({"properties":{)";
  for (int i = 0; i < 30; ++i) deep += R"({"items":)";
  for (int i = 0; i < 300; ++i) wide += (i ? ",\"p" : "\"p") + std::to_string(i) + "\":{}";
  EXPECT_TRUE(Grammar::of_schema(deep + "{}" + std::string(30, '}')));
  EXPECT_FALSE(Grammar::of_schema(wide + "}}"));
  EXPECT_FALSE(Grammar::of_schema("{\"description\":\"" + std::string(300'000, 'x') + "\"}"));
}

TEST(Grammar, CallsOfTools) {
  assistant::Request request;
  EXPECT_EQ(*Grammar::of_request(request), nullptr);
  request.tools = {{"f", "", R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]})"}, {"g", "", ""}};
  EXPECT_EQ(*Grammar::of_request(request), nullptr) << "a free answer needs no grammar";
  const std::string f = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
  const std::string g = "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";
  request.tool_choice.kind = assistant::ToolChoice::Kind::required;
  const auto some = *Grammar::of_request(request);
  for (const auto& text : {f, g, f + "\n" + g, g + "\n" + g + "\n" + f}) EXPECT_TRUE(allows(some, text)) << text;
  for (const auto& text : {std::string("{}"), f + g, f + "\n", std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>")}) {
    EXPECT_FALSE(allows(some, text)) << text;
  }
  request.parallel_tool_calls = false;
  EXPECT_FALSE(allows(*Grammar::of_request(request), f + "\n" + g));
  request.tool_choice = {assistant::ToolChoice::Kind::named, "g"};
  EXPECT_TRUE(allows(*Grammar::of_request(request), g));
  EXPECT_FALSE(allows(*Grammar::of_request(request), f));
  request.tool_choice.name = "h";
  EXPECT_EQ(Grammar::of_request(request).error().field, "tool_choice");
  request.tool_choice = {};
  request.json_schema = R"({"type":"integer"})";
  for (const auto& text : {f, std::string("7")}) EXPECT_TRUE(allows(*Grammar::of_request(request), text)) << text;
  request.json_schema = "{";
  EXPECT_EQ(Grammar::of_request(request).error().field, "response_format");
  request.tools[0].parameters = R"({"type":"array"})";
  EXPECT_EQ(Grammar::of_request(request).error().field, "tools[0].function.parameters");
}

}  // namespace
}  // namespace calliope::engine
