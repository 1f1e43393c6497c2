// The queue and its thread: submitted and cancelled from many threads at once.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

TEST(Engine, ManyThreadsSubmitAndCancel) {
  const auto model = test_model("dense_tied");
  std::vector<assistant::Request> requests;
  for (const size_t i : {0, 1, 5}) requests.push_back(test_requests()[i]);
  std::vector<std::shared_ptr<KeepingSink>> expected;
  for (const auto& request : requests) expected.push_back(answered_alone(model, request));
  Engine engine(model, {.max_queued = 1000, .max_sessions = 5});
  std::vector<std::jthread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      std::vector<std::shared_ptr<KeepingSink>> sinks;
      std::vector<std::stop_source> stops(8);
      for (size_t i = 0; i < stops.size(); ++i) {
        sinks.push_back(std::make_shared<KeepingSink>());
        EXPECT_TRUE(engine.submit(requests[(i + size_t(client)) % 3], sinks.back(), stops[i].get_token()));
        if (i % 3 == 2) stops[i - 1].request_stop();
      }
      for (size_t i = 0; i < sinks.size(); ++i) {
        sinks[i]->wait();
        ASSERT_TRUE(sinks[i]->finish);
        if (sinks[i]->finish->reason == assistant::FinishReason::cancelled) {
          EXPECT_EQ(i % 3, 1u);
        } else {
          expect_same(*sinks[i], *expected[(i + size_t(client)) % 3], "from thread " + std::to_string(client));
        }
      }
    });
  }
}

TEST(Engine, AFullQueueRefusesAndTheEndCancelsEverything) {
  const auto model = test_model("dense_tied");
  std::vector<std::shared_ptr<KeepingSink>> sinks;
  bool refused = false;
  {
    Engine engine(model, {.max_queued = 3, .max_sessions = 1});
    for (int i = 0; i < 100 && !refused; ++i) {
      auto sink = std::make_shared<KeepingSink>();
      auto submitted = engine.submit(test_requests()[3], sink, {});
      refused = !submitted;
      if (refused) EXPECT_EQ(submitted.error().code, ErrorCode::unavailable);
      else sinks.push_back(std::move(sink));
    }
  }
  EXPECT_TRUE(refused);
  for (const auto& sink : sinks) EXPECT_TRUE(sink->ended() && !sink->error);
}

// One place, taken by somebody who speaks on and on: nobody else's turn comes.
TEST(Engine, WhatWouldBeginTooLateIsRefused) {
  Engine engine(test_model("dense_tied"), {.max_sessions = 1});
  const auto sound = std::make_shared<assistant::LiveSound>();
  const auto speaker = std::make_shared<KeepingSink>();
  std::stop_source stop;
  ASSERT_TRUE(engine.submit(test_request({sound}, 5), speaker, stop.get_token()));
  while (engine.stats().sessions == 0) std::this_thread::yield();

  auto patient = test_request({"Hello"}, 5), hasty = patient, hopeless = patient;
  const auto patient_sink = std::make_shared<KeepingSink>(), hasty_sink = std::make_shared<KeepingSink>();
  hasty.max_wait_s = 4;  // well more than an answer takes, as far as it is known
  ASSERT_TRUE(engine.submit(hasty, hasty_sink, {}));
  ASSERT_TRUE(engine.submit(patient, patient_sink, {}));
  hopeless.max_wait_s = 0.01;
  const auto refused = engine.submit(hopeless, std::make_shared<KeepingSink>(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_GE(refused.error().retry_after_s, 1);
  EXPECT_NE(refused.error().message.find("may wait 0.01 s"), std::string::npos) << refused.error().message;

  hasty_sink->wait();
  ASSERT_TRUE(hasty_sink->error);
  EXPECT_EQ(hasty_sink->error->code, ErrorCode::unavailable);
  EXPECT_GE(hasty_sink->error->retry_after_s, 1);
  EXPECT_NE(hasty_sink->error->message.find("waited 4 s"), std::string::npos) << hasty_sink->error->message;
  EXPECT_FALSE(patient_sink->ended());
  stop.request_stop();
  patient_sink->wait();
  EXPECT_TRUE(patient_sink->finish);
  EXPECT_EQ(engine.stats().failed[static_cast<size_t>(ErrorCode::unavailable)], 1u);
  EXPECT_EQ(engine.stats().refused, 1u);
}

// The wait of somebody who speaks begins when he has ended, for a place and for memory.
TEST(Engine, WhoStillSpeaksIsNotRefused) {
  Engine engine(test_model("dense_tied"), {.max_sessions = 1});
  const auto first = std::make_shared<assistant::LiveSound>(), second = std::make_shared<assistant::LiveSound>();
  std::stop_source stop;
  ASSERT_TRUE(engine.submit(test_request({first}, 5), std::make_shared<KeepingSink>(), stop.get_token()));
  while (engine.stats().sessions == 0) std::this_thread::yield();
  auto request = test_request({second}, 5);
  request.max_wait_s = 0.05;  // less than an answer takes, as far as it is known
  const auto sink = std::make_shared<KeepingSink>();
  const auto submitted = engine.submit(request, sink, {});
  ASSERT_TRUE(submitted) << submitted.error().message;
  for (int i = 0; i < 10; ++i) {
    second->append(std::vector<float>(1600, 0.1f));  // wakes the engine
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(sink->ended());
  second->end();
  sink->wait();
  ASSERT_TRUE(sink->error);
  EXPECT_EQ(sink->error->code, ErrorCode::unavailable);
  EXPECT_NE(sink->error->message.find("waited 0.05 s"), std::string::npos) << sink->error->message;
  stop.request_stop();
}

TEST(Engine, WhoStillSpeaksMayWaitForMemory) {
  const auto model = test_model("dense_tied");
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) +
                      model::KvPages::page_bytes(model->config.talker.text, {});
  Time now{};
  Rounds rounds(model, {.bytes = 6 * page}, SchedulerOptions{}, Meter{.now = [&now] { return now; }});
  const auto first = std::make_shared<assistant::LiveSound>(), second = std::make_shared<assistant::LiveSound>();
  std::stop_source stop;
  auto request = test_request({first}, 5);
  const auto holds = rounds.add(request, stop.get_token());
  request = test_request({second}, 5);
  request.max_wait_s = 2;
  const auto waits = rounds.add(request);
  // Its sound has ended while it was in the queue, so what it waited there counts.
  const auto late = std::make_shared<KeepingSink>();
  const auto ended = std::make_shared<assistant::LiveSound>();
  ended->append(std::vector<float>(16000, 0.1f));
  ended->end();
  request = test_request({ended}, 5);
  request.max_wait_s = 2;
  rounds.scheduler().add(std::make_unique<Session>(model, request, late, std::stop_token()), now, false);
  rounds.step(5);
  now = after(now, 3);
  rounds.step(5);
  EXPECT_TRUE(late->error);
  now = after(now, 20);
  rounds.step(5);
  EXPECT_FALSE(waits->ended()) << waits->error->message;
  second->append(std::vector<float>(16000, 0.1f));
  second->end();
  rounds.step(5);
  now = after(now, 1);
  rounds.step(5);
  EXPECT_FALSE(waits->ended());
  now = after(now, 2);
  rounds.step(5);
  ASSERT_TRUE(waits->error);
  EXPECT_EQ(waits->error->code, ErrorCode::unavailable);
  stop.request_stop();
  rounds.run();
}

// Who still speaks has time; those that come after him may not.
TEST(Engine, WhoStillSpeaksIsOvertakenWhenHeWaitsForMemory) {
  const auto model = test_model("dense_tied");
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) + model::KvPages::page_bytes(model->config.talker.text, {});
  Rounds rounds(model, {.bytes = 6 * page}, SchedulerOptions{}, Meter{.now = [] { return Time{}; }});
  const auto sound = std::make_shared<assistant::LiveSound>();
  const auto holds = rounds.add(test_request({"Count."}, 20));
  const auto speaks = rounds.add(test_request({sound}, 5));  // it may become as long as there is memory
  const auto small = rounds.add(test_request({"Hello."}, 5));
  rounds.step(30);
  EXPECT_TRUE(small->ended());
  EXPECT_FALSE(small->error);
  EXPECT_FALSE(speaks->ended());
  sound->append(std::vector<float>(16000, 0.1f));
  sound->end();
  rounds.run();
  EXPECT_FALSE(speaks->error);
}

}  // namespace
}  // namespace calliope::engine
