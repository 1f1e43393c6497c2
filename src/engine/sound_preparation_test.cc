#include "engine/sound_preparation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

assistant::SoundPart sound(std::vector<float> samples, bool live = false) {
  return std::make_shared<const assistant::Sound>(assistant::Sound{.samples = std::move(samples), .live = live});
}

TEST(SoundPreparation, AsLoudAndWithAsMuchSilenceAround) {
  const model::LogMelConfig config{.sound_peak = 0.6f, .sound_margin_ms = 100};
  std::vector<float> clip(4000, 0.05f);
  for (size_t i = 0; i < 1000; ++i) clip[i] = 0.001f;  // 1000 samples of the 1600 are there already
  const auto made = prepared(sound(clip), config);
  ASSERT_EQ(made->samples.size(), 600u + 4000u + 1600u);
  EXPECT_EQ(made->samples[599], 0);
  EXPECT_NEAR(made->samples[600], 0.012f, 1e-6);
  EXPECT_NEAR(std::ranges::max(made->samples), 0.6f, 1e-6);
  EXPECT_EQ(made->samples.back(), 0);
  const auto loud = prepared(sound(std::vector<float>(100, -1.0f)), config);
  EXPECT_NEAR(std::ranges::min(loud->samples), -0.6f, 1e-6);
  const auto faint = prepared(sound(std::vector<float>(100, 0.002f)), config);
  EXPECT_NEAR(std::ranges::max(faint->samples), 0.08f, 1e-6);  // no more than 40 times
}

TEST(SoundPreparation, LeavesWhatItShould) {
  const model::LogMelConfig config{.sound_peak = 0.6f, .sound_margin_ms = 100};
  for (const auto& kept :
       {sound(std::vector<float>(100, 0.0005f)), sound({}), sound(std::vector<float>(100, 0.1f), true)}) {
    EXPECT_EQ(prepared(kept, config), kept);
  }
  const auto kept = sound(std::vector<float>(100, 0.1f));
  EXPECT_EQ(prepared(kept, {}), kept);
}

TEST(SoundPreparation, TheEngineAsksAsTheCheckpointSays) {
  const auto ask = [](const model::LogMelConfig& changes) {
    const auto model = std::const_pointer_cast<model::Model>(test_model("dense_tied"));
    model::LogMelConfig config = model->log_mel.config();
    config.sound_peak = changes.sound_peak;
    config.sound_margin_ms = changes.sound_margin_ms;
    model->log_mel = model::LogMel(config);
    Engine engine(model, {});
    const auto sink = std::make_shared<KeepingSink>();
    assistant::Request request{.max_tokens = 1};
    request.turns = {
        {.role = assistant::Role::user, .parts = {sound(std::vector<float>(16000, 0.1f)), std::string("Hi")}}};
    EXPECT_TRUE(engine.submit(std::move(request), sink, {}));
    sink->wait();
    return sink->finish->usage.prompt_audio_tokens;
  };
  EXPECT_GT(ask({.sound_margin_ms = 500}), ask({}));
}

}  // namespace
}  // namespace calliope::engine
