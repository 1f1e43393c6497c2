// Many sessions in one pass: each answers as it would alone, token for token and bit for bit.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

class Batching : public testing::TestWithParam<const char*> {};

TEST_P(Batching, EachOfManyAnswersAsItWouldAlone) {
  const auto model = test_model_that_samples(GetParam());
  const auto requests = test_requests();
  std::vector<std::shared_ptr<KeepingSink>> alone, together;
  for (const auto& request : requests) alone.push_back(answered_alone(model, request));
  EXPECT_TRUE(std::ranges::any_of(alone, [](const auto& sink) { return sink->samples.size() > 100; })) << "nobody speaks";
  EXPECT_TRUE(std::ranges::any_of(alone, [](const auto& sink) { return sink->text.size() > 10; })) << "nobody answers";

  // All at once; then in another order, each joining when the ones before are well under way.
  Rounds at_once(model), joining(model);
  for (const auto& request : requests) together.push_back(at_once.add(request));
  at_once.run();
  for (size_t i = 0; i < requests.size(); ++i) expect_same(*together[i], *alone[i], "at once " + std::to_string(i));
  together.clear();
  for (size_t i = requests.size(); i-- > 0;) {
    together.push_back(joining.add(requests[i]));
    joining.step(4 + static_cast<int>(i));
  }
  joining.run();
  std::ranges::reverse(together);
  for (size_t i = 0; i < requests.size(); ++i) expect_same(*together[i], *alone[i], "joining " + std::to_string(i));
}

TEST_P(Batching, ACancelInTheMiddleLeavesTheOthersAsTheyAre) {
  const auto model = test_model(GetParam());
  const auto requests = test_requests();
  for (const int rounds : {0, 3, 9, 21}) {
    Rounds batch(model);
    std::vector<std::stop_source> stops(requests.size());
    std::vector<std::shared_ptr<KeepingSink>> sinks;
    for (size_t i = 0; i < requests.size(); ++i) sinks.push_back(batch.add(requests[i], stops[i].get_token()));
    batch.step(rounds);
    const bool ended[] = {sinks[0]->ended(), sinks[3]->ended()};
    stops[0].request_stop();
    stops[3].request_stop();
    batch.step();
    EXPECT_TRUE(sinks[0]->ended() && sinks[3]->ended());
    for (const size_t i : {0, 3}) {
      EXPECT_TRUE(ended[i / 3] || sinks[i]->finish->reason == assistant::FinishReason::cancelled);
    }
    batch.run();
    for (const size_t i : {1, 2, 4, 5}) expect_same(*sinks[i], *answered_alone(model, requests[i]), "beside a cancel");
    EXPECT_EQ(batch.scheduler().memory().thinker()->used_pages(), batch.scheduler().prefixes()->pages());
    EXPECT_EQ(batch.scheduler().memory().talker()->used_pages(), 0);
  }
}

TEST_P(Batching, RoundedKeysAndValuesAreTheSameInEveryBatch) {
  const auto model = test_model(GetParam());
  const auto requests = test_requests();
  for (const tensor::DType dtype : {tensor::DType::bf16, tensor::DType::q8_0}) {
    const KvOptions kv{.dtype = dtype};
    Rounds batch(model, kv);
    std::vector<std::shared_ptr<KeepingSink>> sinks;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second time on shared pages
      for (const auto& request : requests) sinks.push_back(batch.add(request));
    }
    batch.run();
    for (size_t i = 0; i < sinks.size(); ++i) {
      const auto& request = requests[i % requests.size()];
      expect_same(*sinks[i], *answered_alone(model, request, kv), std::string(tensor::name_of(dtype)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Batching, testing::Values("dense_tied", "moe_bf16", "wide_heads"),
                         [](const auto& info) { return std::string(info.param); });

// Some 3000 tokens.
assistant::Request long_request() {
  const std::string text = std::get<std::string>(test_requests()[1].turns[0].parts[0]);
  std::string longer;
  while (longer.size() < 3000) longer += text;
  return test_request({longer}, 1);
}

int rounds_until_ended(Rounds& rounds, const KeepingSink& sink) {
  int count = 0;
  for (; !sink.ended() && count < 10000; ++count) rounds.step();
  return count;
}

TEST(BatchedSessions, ALongPromptDoesNotHoldUpAnAnswer) {
  const auto model = test_model("dense_tied");
  auto question = test_requests()[0];
  question.max_tokens = 20;
  Rounds alone(model), beside(model);
  const int rounds = rounds_until_ended(alone, *alone.add(question));
  const auto answer = beside.add(question);
  beside.step(3);
  const auto other = beside.add(long_request());
  EXPECT_EQ(rounds_until_ended(beside, *answer), rounds - 3);
  EXPECT_FALSE(other->ended()) << "the prompt is too short for this test";
  beside.run();
  ASSERT_TRUE(other->finish) << other->error->message;
  EXPECT_GT(other->finish->usage.prompt_tokens, 2000);
}

TEST(BatchedSessions, AShortPromptDoesNotWaitForALongOne) {
  const auto model = test_model("dense_tied");
  const auto question = test_request({"Hello there, who are you?"}, 9);
  Rounds alone(model), beside(model);
  const int rounds = rounds_until_ended(alone, *alone.add(question));
  const auto other = beside.add(long_request());
  beside.step();
  EXPECT_LE(rounds_until_ended(beside, *beside.add(question)), rounds + 2);
  EXPECT_FALSE(other->ended());
  beside.run();
}

TEST(BatchedSessions, WithoutRoomARequestWaitsAndThenAnswersTheSame) {
  const auto model = test_model("dense_tied");
  const auto requests = test_requests();
  // Room for the longest of them alone, and a little more.
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) + model::KvPages::page_bytes(model->config.talker.text, {});
  for (const size_t pages : {40, 60}) {
    Rounds batch(model, {.bytes = pages * page});
    std::vector<std::shared_ptr<KeepingSink>> sinks;
    for (int repeat = 0; repeat < 2; ++repeat) {
      for (const auto& request : requests) sinks.push_back(batch.add(request));
    }
    batch.run();
    for (size_t i = 0; i < sinks.size(); ++i) {
      expect_same(*sinks[i], *answered_alone(model, requests[i % requests.size()]), "little memory " + std::to_string(i));
    }
    EXPECT_LE(batch.scheduler().memory().thinker()->used_pages(), batch.scheduler().memory().thinker()->most_pages());
  }
}

TEST(BatchedSessions, WhoMayNotWaitForMemoryAnyLongerIsRefused) {
  const auto model = test_model("dense_tied");
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) + model::KvPages::page_bytes(model->config.talker.text, {});
  Time now{};
  Rounds batch(model, {.bytes = 4 * page}, SchedulerOptions{}, Meter{.now = [&now] { return now; }});
  auto endless = test_request({"Go on."}, 4000);
  endless.sampling.temperature = 2.0f;
  const auto first = batch.add(endless);
  batch.step(2);
  auto hasty = test_request({"Hello"}, 30);
  hasty.max_wait_s = 30;
  const auto later = batch.add(hasty);
  hasty.max_wait_s = 3;
  const auto late = batch.add(hasty);  // behind one that is patient
  now = after(now, 2.9);
  batch.step(2);
  ASSERT_FALSE(first->ended()) << "it should hold all memory";
  EXPECT_FALSE(late->ended());
  now = after(now, 0.2);
  batch.step();
  ASSERT_TRUE(late->error);
  EXPECT_EQ(late->error->code, ErrorCode::unavailable);
  EXPECT_NE(late->error->message.find("waited 3 s for memory"), std::string::npos) << late->error->message;
  batch.run();
  EXPECT_TRUE(first->finish && later->finish);
}

TEST(BatchedSessions, APromptThatCanNeverFitIsRefusedAndALongAnswerEndsInTime) {
  const auto model = test_model("dense_tied");
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) + model::KvPages::page_bytes(model->config.talker.text, {});
  Rounds batch(model, {.bytes = 3 * page});
  const auto& memory = batch.scheduler().memory();
  const auto refused = batch.add(test_requests()[1]);
  auto endless = test_request({"Go on."}, 4000);
  endless.sampling.temperature = 2.0f;
  const auto ended = batch.add(endless);
  batch.run();
  ASSERT_TRUE(refused->error);
  EXPECT_EQ(refused->error->code, ErrorCode::too_large);
  EXPECT_NE(refused->error->message.find("--kv-memory"), std::string::npos) << refused->error->message;
  ASSERT_TRUE(ended->finish);
  EXPECT_LE(ended->finish->usage.prompt_tokens + ended->finish->usage.completion_tokens, memory.most_tokens().thinker);
  EXPECT_FALSE(KvMemory::make(*model, {.bytes = 100}));
}

}  // namespace
}  // namespace calliope::engine
