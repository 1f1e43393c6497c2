// Choices scored by the scheduler, held to a plain computation: each choice run alone after the whole prompt.
#include "engine/scoring.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/test_requests.h"
#include "model/positions.h"

namespace calliope::engine {
namespace {

assistant::Request scored(assistant::Request request, std::vector<std::string> choices) {
  request.speak = false;
  request.choices = std::move(choices);
  return request;
}

// log p of a choice: the prompt and the choice in one pass, every row through the head.
double plainly(const model::Model& model, const assistant::Request& request, const std::string& choice) {
  const Prompt prompt = *build_prompt(model, request);
  const auto ids = *model.tokenizer.encode(choice, false);
  const int64_t width = model.config.thinker.text.hidden_size, rows = prompt.size() + static_cast<int64_t>(ids.size());
  tensor::Tensor x({rows, width}), logits({rows, model.config.thinker.text.vocab_size});
  std::copy_n(prompt.embeds.data(), prompt.embeds.elements(), x.data());
  model.thinker.embed(ids, x.rows().slice(prompt.size(), static_cast<int64_t>(ids.size())));
  model::Positions positions = prompt.positions;
  for (size_t i = 0; i < ids.size(); ++i) positions.push(model::next_position(prompt.positions) + static_cast<int64_t>(i));
  std::vector<tensor::ConstRows> deepstack;
  for (const auto& level : prompt.deepstack) deepstack.push_back(level.rows());
  model::DecoderState state;
  state.reserve(model.config.thinker.text, rows);
  model.thinker.forward(
      {.embeds = x.rows(), .positions = &positions, .visual_rows = prompt.visual_rows, .deepstack = deepstack}, state);
  model.thinker.logits(x.rows(), logits.rows());
  double sum = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const float* row = logits.rows().row(prompt.size() - 1 + static_cast<int64_t>(i));
    double whole = 0;
    for (int64_t v = 0; v < logits.shape()[1]; ++v) whole += std::exp(double(row[v]));
    sum += double(row[ids[i]]) - std::log(whole);
  }
  return sum;
}

class ScoringTest : public testing::TestWithParam<const char*> {};

TEST_P(ScoringTest, EveryChoiceAsIfComputedAlone) {
  const auto model = test_model(GetParam());
  std::string longest;
  for (int i = 0; i < 90; ++i) longest += "and " + std::to_string(i) + ", ";
  const std::vector<std::string> choices = {"yes", "A", "no, never", longest, "the answer is forty-two", "é", longest + "!"};
  auto requests = test_requests();
  Rounds together(model);
  std::vector<std::shared_ptr<KeepingSink>> sinks;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i != 4) requests[i] = scored(requests[i], choices);  // one answers and speaks beside the others
    sinks.push_back(together.add(requests[i]));
  }
  together.run();
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_FALSE(sinks[i]->error) << sinks[i]->error->message;
    if (i == 4) {
      expect_same(*sinks[i], *answered_alone(model, requests[i]), "beside choices");
      continue;
    }
    ASSERT_EQ(sinks[i]->scores.size(), choices.size());
    EXPECT_TRUE(sinks[i]->text.empty() && sinks[i]->samples.empty());
    EXPECT_EQ(sinks[i]->finish->reason, assistant::FinishReason::stop);
    EXPECT_EQ(answered_alone(model, requests[i])->scores, sinks[i]->scores) << "alone is not as together";
    for (size_t c = 0; c < choices.size(); ++c) {
      const double expected = plainly(*model, requests[i], choices[c]);
      EXPECT_NEAR(sinks[i]->scores[c], expected, 1e-5 * std::abs(expected) + 1e-5) << "request " << i << ", choice " << c;
    }
  }
  EXPECT_EQ(together.scheduler().memory().thinker()->used_pages(), together.scheduler().prefixes()->pages());
}

INSTANTIATE_TEST_SUITE_P(Models, ScoringTest, testing::Values("dense_tied", "moe_bf16", "wide_heads"));

TEST(Scoring, WhatCannotBeScoredIsRefused) {
  const auto model = test_model("dense_tied");
  const auto empty = answered_alone(model, scored(test_request({"Hi"}, 5), {"a", ""}));
  ASSERT_TRUE(empty->error);
  EXPECT_EQ(empty->error->code, ErrorCode::invalid_argument);
  std::string endless;
  for (int i = 0; i < 20000; ++i) endless += "word " + std::to_string(i);
  const auto large = answered_alone(model, scored(test_request({"Hi"}, 5), {endless}));
  ASSERT_TRUE(large->error);
  EXPECT_EQ(large->error->code, ErrorCode::too_large);
  auto spoken = scored(test_request({"Hi"}, 5), {"a"});
  spoken.speak = true;
  EXPECT_FALSE(check_request(*model, spoken));
}

}  // namespace
}  // namespace calliope::engine
