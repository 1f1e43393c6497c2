#include "engine/sound_preparation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "engine/engine.h"
#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

assistant::SoundPart sound(std::vector<float> samples, bool live = false) {
  return std::make_shared<const assistant::Sound>(assistant::Sound{.samples = std::move(samples), .live = live});
}

std::vector<float> made(const assistant::SoundPart& sound, const model::LogMelConfig& config) {
  return SoundPreparation::of(*sound, config).apply(*sound);
}

TEST(SoundPreparation, AsLoudAndWithAsMuchSilenceAround) {
  const model::LogMelConfig config{.sound_peak = 0.6f, .sound_margin_ms = 100};
  std::vector<float> clip(4000, 0.05f);
  for (size_t i = 0; i < 1000; ++i) clip[i] = 0.001f;  // 1000 samples of the 1600 are there already
  const auto padded = made(sound(clip), config);
  ASSERT_EQ(padded.size(), 600u + 4000u + 1600u);
  EXPECT_EQ(padded[599], 0);
  EXPECT_NEAR(padded[600], 0.012f, 1e-6);
  EXPECT_NEAR(std::ranges::max(padded), 0.6f, 1e-6);
  EXPECT_EQ(padded.back(), 0);
  EXPECT_NEAR(std::ranges::min(made(sound(std::vector<float>(100, -1.0f)), config)), -0.6f, 1e-6);
  EXPECT_NEAR(std::ranges::max(made(sound(std::vector<float>(100, 0.002f)), config)), 0.08f,
              1e-6);  // no more than 40 times
  for (size_t loudest = 0; loudest < 40; ++loudest) {
    std::vector<float> click(40, 0.1f);
    click[loudest] = -0.5f;
    EXPECT_NEAR(SoundPreparation::of(*sound(click), config).gain, 1.2f, 1e-6) << loudest;
  }
}

TEST(SoundPreparation, LeavesWhatItShould) {
  const model::LogMelConfig config{.sound_peak = 0.6f, .sound_margin_ms = 100};
  for (const auto& kept :
       {sound(std::vector<float>(100, 0.0005f)), sound({}), sound(std::vector<float>(100, 0.1f), true)}) {
    EXPECT_FALSE(SoundPreparation::of(*kept, config).changes());
    EXPECT_EQ(made(kept, config), kept->samples);
  }
  EXPECT_FALSE(SoundPreparation::of(*sound(std::vector<float>(100, 0.1f)), {}).changes());
}

std::shared_ptr<const model::Model> model_that_wants(float peak, int64_t margin_ms) {
  const auto model = std::const_pointer_cast<model::Model>(test_model("dense_tied"));
  model::LogMelConfig config = model->log_mel.config();
  config.sound_peak = peak;
  config.sound_margin_ms = margin_ms;
  model->log_mel = model::LogMel(config);
  return model;
}

// One scheduler for all, so that what it keeps of a sound is not taken for the same samples that came live.
TEST(SoundPreparation, IsHeardAsIfItHadComePrepared) {
  std::vector<float> clip(9000);
  for (size_t i = 0; i < clip.size(); ++i) clip[i] = 0.1f * std::sin(float(i) * 0.07f) * std::sin(float(i) * 0.0009f);
  for (const int64_t margin_ms : {0, 100}) {
    const auto model = model_that_wants(0.6f, margin_ms);
    const auto prepared = sound(made(sound(clip), model->log_mel.config()), true);
    const auto as_it_is = test_request({sound(clip, true)}, 9, true), expected = test_request({prepared}, 9, true);
    Rounds rounds(model);
    const auto live = rounds.add(as_it_is);
    rounds.run();
    for (int again = 0; again < 2; ++again) {
      const auto sink = rounds.add(test_request({sound(clip)}, 9, true));
      rounds.run();
      expect_same(*sink, *answered_alone(model, expected), "prepared");
    }
    expect_same(*live, *answered_alone(model, as_it_is), "live");
    EXPECT_NE(live->samples, answered_alone(model, expected)->samples)
        << "the test tells nothing: both are answered alike";
  }
}

// One place, taken by somebody who speaks: until it is free, the sound of the next is neither copied nor looked at.
TEST(SoundPreparation, NothingIsMadeOfASoundThatWaits) {
  const auto model = model_that_wants(0.6f, 100);
  const auto clip = sound(std::vector<float>(16000, 0.1f));
  const auto speaking = std::make_shared<assistant::LiveSound>();
  Engine engine(model, {.max_queued = 1, .max_sessions = 1});
  std::stop_source stop;
  const auto speaker = std::make_shared<KeepingSink>(), waiting = std::make_shared<KeepingSink>();
  ASSERT_TRUE(engine.submit(test_request({speaking}, 5), speaker, stop.get_token()));
  while (engine.stats().sessions == 0) std::this_thread::yield();
  ASSERT_TRUE(engine.submit(test_request({clip}, 5), waiting, {}));
  EXPECT_EQ(clip.use_count(), 2) << "it is not the sound itself that waits";
  EXPECT_FALSE(engine.submit(test_request({clip}, 5), std::make_shared<KeepingSink>(), {}));
  EXPECT_EQ(clip.use_count(), 2);
  stop.request_stop();
  waiting->wait();
  EXPECT_TRUE(waiting->finish);
}

// What answers is no reason to keep what was asked.
TEST(SoundPreparation, SoundsAreLetGoWhenThePromptIsThere) {
  const auto model = test_model("dense_tied");
  const auto clip = sound(std::vector<float>(16000, 0.1f));
  Rounds rounds(model);
  const auto sink = rounds.add(test_request({clip}, 400));
  EXPECT_EQ(clip.use_count(), 2);
  while (rounds.scheduler().sessions() > 0 && sink->text.empty()) rounds.step();
  EXPECT_FALSE(sink->ended());
  EXPECT_EQ(clip.use_count(), 1);
}

TEST(SoundPreparation, TheEngineAsksAsTheCheckpointSays) {
  const auto ask = [](int64_t margin_ms) {
    const auto model = model_that_wants(0, margin_ms);
    Engine engine(model, {});
    const auto sink = std::make_shared<KeepingSink>();
    assistant::Request request{.max_tokens = 1};
    request.turns = {
        {.role = assistant::Role::user, .parts = {sound(std::vector<float>(16000, 0.1f)), std::string("Hi")}}};
    EXPECT_TRUE(engine.submit(std::move(request), sink, {}));
    sink->wait();
    return sink->finish->usage.prompt_audio_tokens;
  };
  EXPECT_GT(ask(500), ask(0));
}

}  // namespace
}  // namespace calliope::engine
