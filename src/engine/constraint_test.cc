// Forced calls and JSON answers of real models: whatever the weights would say, what comes out parses.
#include "engine/constraint.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

namespace json = boost::json;

std::shared_ptr<const model::Model> nano() {
  static const auto model = [] {
    auto loaded = model::load_model(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
    EXPECT_TRUE(loaded) << loaded.error().message;
    return *loaded;
  }();
  return model;
}

constexpr const char* kWeather = R"({"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]},
    "days":{"type":"integer"}},"required":["city","unit"],"additionalProperties":false})";

assistant::Request with_tools(const std::string& text, int max_tokens) {
  auto request = test_request({text}, max_tokens);
  request.tools = {{"get_weather", "The weather in a city", kWeather}, {"now", "The time", ""}};
  return request;
}

bool is_weather_call(const assistant::ToolCall& call) {
  const json::value value = json::parse(call.arguments);
  const auto& object = value.as_object();
  return call.name == "get_weather" && object.at("city").is_string() && (object.at("unit") == "celsius" || object.at("unit") == "fahrenheit");
}

TEST(Constraint, AForcedCallIsValidWhateverTheModel) {
  for (const auto& model : {nano(), test_model("dense_tied"), test_model("moe_bf16")}) {
    for (const float temperature : {0.0f, 1.5f}) {
      auto request = with_tools("What is the weather in Paris?", 120);
      request.sampling.temperature = temperature;
      request.tool_choice = {assistant::ToolChoice::Kind::named, "get_weather"};
      request.parallel_tool_calls = false;
      request.speak = temperature == 0.0f && model->speaks();
      const auto sink = answered_alone(model, request);
      ASSERT_FALSE(sink->error) << sink->error->message;
      ASSERT_EQ(sink->calls.size(), 1u) << sink->text;
      EXPECT_TRUE(is_weather_call(sink->calls[0])) << sink->calls[0].arguments;
      EXPECT_EQ(sink->text, "");
      EXPECT_EQ(sink->finish->reason, assistant::FinishReason::tool_calls);
      request.tool_choice = {assistant::ToolChoice::Kind::required, ""};
      request.parallel_tool_calls = true;
      const auto any = answered_alone(model, request);
      EXPECT_GE(any->calls.size(), 1u);
      EXPECT_EQ(any->text, "");
    }
  }
}

TEST(Constraint, AnswersParseAndEndInTime) {
  struct Shape {
    const char* schema;
    int least;
  };
  for (const Shape& shape : {Shape{R"({"type":"object"})", 2}, Shape{kWeather, 30},
                             Shape{R"({"type":"array","items":{"type":"string","minLength":3},"minItems":2})", 13},
                             Shape{R"({"anyOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#"},"minItems":1}]})", 1}}) {
    for (const auto& model : {nano(), test_model("dense_tied")}) {
      for (const int max_tokens : {shape.least, shape.least + 1, shape.least + 7, 60, 200}) {
        for (const float temperature : {0.0f, 1.5f}) {
          auto request = test_request({"What is the order? Answer as JSON."}, max_tokens);
          request.json_schema = shape.schema;
          request.sampling.temperature = temperature;
          request.sampling.seed = static_cast<uint64_t>(max_tokens);
          const auto sink = answered_alone(model, request);
          ASSERT_FALSE(sink->error) << sink->error->message;
          json::error_code error;
          json::parse(sink->text, error);
          EXPECT_FALSE(error) << max_tokens << " tokens: " << sink->text;
          GrammarMatcher matcher(*Grammar::of_schema(shape.schema));
          EXPECT_TRUE(matcher.push(sink->text) && matcher.complete()) << sink->text;
        }
      }
    }
  }
}

TEST(Constraint, GreedyTakesTheLikeliestTokenThatIsAllowed) {
  const auto model = test_model("dense_tied");
  const auto grammar = *Grammar::of_schema(kWeather);
  const auto& ends = model->generation.eos_token_ids;
  Constraint constraint(grammar, model->tokenizer, ends);
  GrammarMatcher matcher(grammar);
  // Every token against a plain matcher, at every step of a walk.
  for (int step = 0; step < 40 && !constraint.ended(); ++step) {
    int32_t next = -1;
    for (int32_t id = 0; id < model->tokenizer.vocabulary_size(); ++id) {
      GrammarMatcher copy = matcher;
      const auto bytes = model->tokenizer.bytes(id, true);
      const bool end = std::ranges::find(ends, id) != ends.end();
      const bool expected = end ? matcher.complete() : !bytes.empty() && copy.push(bytes) && copy.least_bytes_left() <= 45 - step;
      ASSERT_EQ(constraint.allows(id, 45 - step), expected) << id << " at " << step;
      if (expected && !end && (id * 7919 + step) % 5 != 0) next = next < 0 || id % 3 == step % 3 ? id : next;
    }
    if (next < 0) break;
    constraint.take(next);
    matcher.push(model->tokenizer.bytes(next, true));
  }
}

TEST(Constraint, ToolsInTheAnswerOfOneOfMany) {
  const auto model = nano();
  Rounds rounds(model);
  auto free = test_request({"Hello!"}, 30, true);
  auto forced = with_tools("What is the weather in Paris?", 200);
  forced.tool_choice = {assistant::ToolChoice::Kind::required, ""};
  const auto a = rounds.add(free), b = rounds.add(forced), c = rounds.add(free);
  rounds.run();
  expect_same(*a, *answered_alone(model, free), "beside a forced call");
  expect_same(*c, *a, "the same");
  EXPECT_GE(b->calls.size(), 1u);
}

TEST(Constraint, WhatCannotBeHeldIsRefusedAtOnce) {
  auto request = with_tools("Hi", 10);
  request.tool_choice = {assistant::ToolChoice::Kind::named, "later"};
  EXPECT_EQ(check_request(*nano(), request).error().field, "tool_choice");
  request = test_request({"Hi"}, 10);
  request.json_schema = R"({"type":"string","pattern":"a"})";
  const auto refused = check_request(*nano(), request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "response_format");
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace calliope::engine
