// Who takes part in a round, by a clock of the test's own.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/playback_clock.h"
#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

TEST(PlaybackClockTest, RunsDryAndWaits) {
  PlaybackClock clock;
  const Time start{};
  EXPECT_FALSE(clock.begun());
  EXPECT_EQ(clock.sent(24000, start), 0);
  EXPECT_NEAR(clock.ahead_s(after(start, 0.25)), 0.75, 1e-6);
  EXPECT_EQ(clock.sent(12000, after(start, 0.5)), 0);
  EXPECT_NEAR(clock.ahead_s(after(start, 2)), -0.5, 1e-6);
  EXPECT_NEAR(clock.sent(24000, after(start, 2)), 0.5, 1e-6);
  EXPECT_NEAR(clock.ahead_s(after(start, 2)), 1, 1e-6);
}

class Scheduling : public testing::Test {
 protected:
  std::shared_ptr<const model::Model> model_ = test_model("full_rate");  // frames of 80 ms
  Time now_{};
  double a_look_s_ = 0;  // what passes whenever somebody looks at the clock
  Rounds rounds_{model_, {}, SchedulerOptions{}, Meter{.now = [this] {
                   now_ = after(now_, a_look_s_);
                   return now_;
                 }}};

  void pass(double seconds) { now_ = after(now_, seconds); }
  assistant::EngineStats stats() { return rounds_.scheduler().stats(); }

  // Somebody is spoken to and has begun to listen; and the samples of a frame.
  std::shared_ptr<KeepingSink> speaking(std::stop_token stop = {}) {
    auto request = test_request({"Hello there, who are you?"}, 60, true);
    request.live = true;
    request.sampling.temperature = 2.0f;
    auto sink = rounds_.add(request, std::move(stop));
    for (int i = 0; i < 50 && sink->samples.empty(); ++i) rounds_.step();
    EXPECT_FALSE(sink->samples.empty());
    return sink;
  }
  static assistant::Request writing() {
    auto request = test_request({"Say something surprising."}, 200);
    request.sampling.temperature = 2.0f;
    return request;
  }
};

TEST_F(Scheduling, WhenAListenerIsAboutToRunDryTheOthersWait) {
  const auto written = rounds_.add(writing());
  const auto spoken = speaking();
  const double frame = double(spoken->samples.size()) / assistant::kSpeechSampleRate;
  ASSERT_LT(frame, 0.15) << "the test wants a listener with little in hand";
  const auto tokens = stats().tokens_drawn;
  size_t samples = spoken->samples.size();
  int tight = 0;
  for (; tight < 20; ++tight) {
    pass(frame / 2);
    const auto before = stats().stage(assistant::Stage::decode).batch.sum;
    rounds_.step();
    EXPECT_GT(spoken->samples.size(), samples) << "he who is about to run dry got nothing in round " << tight;
    samples = spoken->samples.size();
    if (stats().stage(assistant::Stage::decode).batch.sum - before > 1) break;  // both
  }
  EXPECT_GE(tight, 1);
  EXPECT_LE(tight, 4) << "but everybody gets a turn in the end";
  EXPECT_GT(stats().tokens_drawn, tokens);
  EXPECT_EQ(stats().playback_gaps, 0u);
}

TEST_F(Scheduling, WhoHasPlentyInHandWaitsForTheOthersButNotForNobody) {
  const auto spoken = speaking();
  // The clock stands still, so he gets ahead.
  while (spoken->samples.size() < 1.6 * assistant::kSpeechSampleRate && !spoken->ended()) rounds_.step();
  ASSERT_FALSE(spoken->ended()) << "too short an answer";
  const size_t samples = spoken->samples.size();
  const auto other = rounds_.add(test_requests()[1]);
  while (!other->ended()) {
    rounds_.step();
    EXPECT_TRUE(other->ended() || spoken->samples.size() == samples);
  }
  rounds_.run();
  EXPECT_GT(spoken->samples.size(), samples);
  EXPECT_EQ(stats().playback_gaps, 0u);
}

// One who is still speaking, and says nothing just now, keeps nobody from going on.
TEST_F(Scheduling, AListeningSessionWithNothingToDoHoldsUpNobody) {
  const auto spoken = speaking();
  const auto live = std::make_shared<assistant::LiveSound>();
  std::stop_source stop;
  rounds_.add(test_request({live}, 5), stop.get_token());
  for (int i = 0; i < 2000 && !spoken->ended(); ++i) rounds_.step();
  EXPECT_TRUE(spoken->ended());
  stop.request_stop();
  rounds_.run();
}

TEST_F(Scheduling, CountsTheGapsOfThoseWhoListen) {
  const auto spoken = speaking();
  pass(5);
  while (!spoken->ended()) rounds_.step();
  EXPECT_EQ(stats().playback_gaps, 1u);
  EXPECT_NEAR(stats().playback_gap_seconds, 5, 1);
  EXPECT_EQ(stats().audio_samples, spoken->samples.size());
  EXPECT_EQ(stats().audio_frames, static_cast<uint64_t>(spoken->finish->usage.completion_audio_frames));
  EXPECT_EQ(stats().finished, 1u);
}

// The clock moves on by a millisecond a look, so a piece is a few steps whatever the machine.
TEST_F(Scheduling, ALargePictureIsEncodedInPiecesBetweenFrames) {
  const auto spoken = speaking();
  a_look_s_ = 0.001;
  const auto seen = rounds_.add(test_request({test_picture(3000, 2000, 1), "What is this?"}, 3));
  int rounds = 0;
  for (; !seen->ended() && !spoken->ended() && rounds < 1000; ++rounds) {
    const auto before = stats().stage(assistant::Stage::media).batch.count;
    rounds_.step();
    EXPECT_LE(stats().stage(assistant::Stage::media).batch.count - before, 8u) << "in one round";
  }
  EXPECT_GT(rounds, 4) << "in one piece";
  EXPECT_EQ(stats().playback_gaps, 0u);
  rounds_.run();
  ASSERT_TRUE(seen->finish) << seen->error->message;
}

TEST_F(Scheduling, WhoIsSpokenToGoesBeforeThoseWhoRead) {
  std::string long_text;
  for (int i = 0; i < 60; ++i) long_text += "The quick brown fox number " + std::to_string(i) + " jumps. ";
  std::vector<std::shared_ptr<KeepingSink>> others;
  for (int i = 0; i < 6; ++i) others.push_back(rounds_.add(test_request({std::to_string(i), long_text}, 3)));
  rounds_.step(4);
  auto question = test_request({"Hello there, who are you?"}, 5, true);
  question.live = true;
  const auto spoken = rounds_.add(question);
  int rounds = 0;
  for (; spoken->samples.empty() && rounds < 1000; ++rounds) rounds_.step();
  EXPECT_LT(rounds, 12);
  EXPECT_EQ(std::ranges::count_if(others, [](const auto& sink) { return sink->ended(); }), 0);
  rounds_.run();
  for (const auto& sink : others) EXPECT_TRUE(sink->finish);
}

// Prompts of 20 requests of one user and one of another: the other waits for a few of them, not for 20.
TEST_F(Scheduling, PromptsGoRoundBetweenUsers) {
  std::string long_text;
  for (int i = 0; i < 20; ++i) long_text += "The quick brown fox number " + std::to_string(i) + " jumps. ";
  const auto of = [&](const std::string& user, int i) {
    auto request = test_request({std::to_string(i), user, long_text}, 1);
    request.user = user;
    return rounds_.add(request);
  };
  std::vector<std::shared_ptr<KeepingSink>> many;
  for (int i = 0; i < 20; ++i) many.push_back(of("many", i));
  rounds_.step(3);
  const auto answered = [&] { return std::ranges::count_if(many, [](const auto& sink) { return sink->ended(); }); };
  const auto before = answered();
  const auto one = of("one", 0);
  while (!one->ended()) rounds_.step();
  EXPECT_LE(answered() - before, 4);
  EXPECT_LT(answered(), 15) << "the test is over before it has begun";
  rounds_.run();
}

TEST_F(Scheduling, ASinkThatStopsItsOwnRequestHearsNothingMore) {
  class Stopping final : public assistant::Sink {
   public:
    void on_event(assistant::Event event) override {
      events.push_back(std::move(event));
      if (events.size() == 3) stop.request_stop();
    }
    std::vector<assistant::Event> events;
    std::stop_source stop;
  };
  const auto sink = std::make_shared<Stopping>();
  const auto beside = rounds_.add(test_requests()[0]);
  rounds_.scheduler().add(std::make_unique<Session>(model_, test_requests()[3], sink, sink->stop.get_token()));
  rounds_.run();
  ASSERT_EQ(sink->events.size(), 4u);
  const auto* finished = std::get_if<assistant::Finished>(&sink->events.back());
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->reason, assistant::FinishReason::cancelled);
  expect_same(*beside, *answered_alone(model_, test_requests()[0]), "beside one that stopped itself");
}

TEST_F(Scheduling, CountsWhatItDoes) {
  for (const auto& request : test_requests()) rounds_.add(request);
  rounds_.run();
  const auto all = stats();
  EXPECT_EQ(all.finished, 6u);
  EXPECT_EQ(all.first_text_seconds.count, 6u);
  EXPECT_EQ(all.first_audio_seconds.count, 4u);
  EXPECT_EQ(all.queue_seconds.count, 6u);
  EXPECT_EQ(all.sessions, 0u);
  EXPECT_EQ(all.thinker.claimed_pages + all.talker.claimed_pages + all.talker.used_pages, 0);
  EXPECT_GT(all.thinker.used_pages, 0);
  EXPECT_LT(all.thinker.used_pages, all.thinker.total_pages);
  EXPECT_EQ(all.stage(assistant::Stage::prefill).batch.sum, double(all.prompt_tokens_run));
  EXPECT_EQ(all.stage(assistant::Stage::decode).batch.sum, double(all.tokens_drawn));
  EXPECT_GT(all.stage(assistant::Stage::speech).batch.sum, 0);
  EXPECT_GT(all.stage(assistant::Stage::media).batch.count, 10u);
  EXPECT_GT(all.media_asked, all.media_found);
}

TEST(EngineStatsTest, AreThereFromAnyThreadAndAFullQueueSaysWhenToComeBack) {
  const auto model = test_model("dense_tied");
  Engine engine(model, {.max_queued = 2, .max_sessions = 1});
  EXPECT_GT(engine.stats().thinker.total_pages, 0);
  std::vector<std::shared_ptr<KeepingSink>> sinks;
  std::vector<std::stop_source> stops(50);
  Error error;
  for (auto& stop : stops) {
    sinks.push_back(std::make_shared<KeepingSink>());
    const auto live = std::make_shared<assistant::LiveSound>();
    auto submitted = engine.submit(test_request({live}, 5), sinks.back(), stop.get_token());
    if (submitted) continue;
    error = submitted.error();
    sinks.pop_back();
    break;
  }
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_GE(error.retry_after_s, 1);
  EXPECT_LE(error.retry_after_s, 60);
  EXPECT_EQ(engine.stats().refused, 1u);
  EXPECT_EQ(engine.stats().submitted, sinks.size());
  // Nobody speaks on; a stop is heard all the same, in a place and in the queue.
  for (auto& stop : stops) stop.request_stop();
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(engine.stats().queued, 0u);
}

}  // namespace
}  // namespace calliope::engine
