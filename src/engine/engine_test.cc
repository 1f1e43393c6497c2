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

}  // namespace
}  // namespace calliope::engine
