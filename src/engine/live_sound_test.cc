// Hearing while the person still speaks: nothing but the time differs from the sound as a whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "engine/prompt_builder.h"
#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

// Something like speech: silence, then bursts that get louder until `loudest_s`.
std::vector<float> speech_like(double seconds, double loudest_s, uint32_t seed) {
  std::vector<float> samples(static_cast<size_t>(seconds * 16000));
  std::minstd_rand random(seed);
  for (size_t i = 0; i < samples.size(); ++i) {
    const double t = double(i) / 16000;
    if (t < 0.3 || std::fmod(t, 0.9) > 0.6) continue;  // digital silence
    const double loud = 0.5 * std::exp(-std::abs(t - loudest_s));
    samples[i] = static_cast<float>(loud * (std::sin(t * 900 * (1 + 0.2 * std::sin(3 * t))) + 0.1 * (double(random()) / 2e9 - 0.5)));
  }
  return samples;
}

assistant::SoundPart whole(std::vector<float> samples) { return std::make_shared<const assistant::Sound>(assistant::Sound{std::move(samples)}); }

// A conversation that ends with a sound.
using Conversation = std::function<assistant::Request(assistant::Part)>;

assistant::Request alone(assistant::Part sound) { return test_request({std::move(sound)}, 9, true); }
assistant::Request with_everything_before(assistant::Part sound) {
  auto request = test_request({test_picture(48, 64, 1), whole(speech_like(1.0, 0.5, 1)), "What is this?"}, 9, true);
  request.turns.insert(request.turns.begin(), {assistant::Role::system, {std::string(300, 'b')}});
  request.turns.push_back({assistant::Role::assistant, {"A picture."}});
  request.turns.push_back({assistant::Role::user, {test_picture(40, 40, 3), std::move(sound), "and", test_picture(56, 40, 2)}});
  return request;
}
assistant::Request after_short_sounds(assistant::Part sound) {
  auto request = test_request({whole(speech_like(0.4, 0.5, 1)), "Hm?"}, 5);
  request.turns.push_back({assistant::Role::assistant, {"Yes?"}});
  request.turns.push_back({assistant::Role::user, {whole(speech_like(0.35, 0.5, 2)), std::move(sound)}});
  return request;
}

std::shared_ptr<KeepingSink> answered_live(Rounds& rounds, const Conversation& conversation, std::span<const float> samples, size_t piece,
                                           int rounds_a_piece) {
  const auto live = std::make_shared<assistant::LiveSound>();
  auto sink = rounds.add(conversation(live));
  for (size_t at = 0; at < samples.size(); at += piece) {
    live->append(samples.subspan(at, std::min(piece, samples.size() - at)));
    rounds.step(rounds_a_piece);
  }
  EXPECT_FALSE(sink->ended()) << (sink->error ? sink->error->message : "answered before the sound has ended");
  live->end();
  rounds.run();
  return sink;
}

class LiveSounds : public testing::TestWithParam<const char*> {};

TEST_P(LiveSounds, AreAnsweredAsIfTheyHadComeWhole) {
  const auto model = test_model(GetParam());
  const auto chunk = static_cast<size_t>(model->audio_encoder.chunk_frames() * model->log_mel.config().hop_samples);
  struct Case {
    Conversation conversation;
    double seconds, loudest_s;
  };
  const Case cases[] = {{alone, 3.3, 0.5},      {alone, 9.7, 9.5},  {alone, 8, 4},
                        {alone, 0.2, 0.1},      {alone, 0.013, 0},  {with_everything_before, 2.4, 2.2},
                        {after_short_sounds, 0.38, 0.3}, {after_short_sounds, 1.3, 1.2}, {with_everything_before, 1.65, 0.2}};
  for (const auto& [conversation, seconds, loudest_s] : cases) {
    const auto samples = speech_like(seconds, loudest_s, 7);
    const auto expected = answered_alone(model, conversation(whole(samples)));
    for (const bool share : {true, false}) {
      for (const size_t piece : {size_t{320}, size_t{1237}, chunk, 2 * chunk, 3 * chunk}) {
        Rounds rounds(model, {}, share);
        const auto sink = answered_live(rounds, conversation, samples, piece, piece > 2000 ? 4 : 1);
        const std::string what = std::to_string(seconds) + " s in pieces of " + std::to_string(piece);
        expect_same(*sink, *expected, what);
        EXPECT_EQ(sink->finish->usage.prompt_audio_tokens, expected->finish->usage.prompt_audio_tokens) << what;
        const auto& memory = rounds.scheduler().memory();
        EXPECT_EQ(memory.thinker()->used_pages(), share ? rounds.scheduler().prefixes()->pages() : 0) << what;
        EXPECT_EQ(memory.claimed_pages().thinker + memory.claimed_pages().talker, 0) << what;
      }
    }
  }
}

TEST_P(LiveSounds, TheirPromptIsThatOfTheWholeSoundBitForBit) {
  const auto model = test_model(GetParam());
  for (const double seconds : {0.31, 1.0, 4.06, 16.0, 17.01}) {
    const auto samples = speech_like(seconds, 0.8 * seconds, 5);
    const auto expected = build_prompt(*model, with_everything_before(whole(samples)));
    ASSERT_TRUE(expected) << expected.error().message;
    const auto live = std::make_shared<assistant::LiveSound>();
    const auto request = with_everything_before(live);
    PromptBuilder builder(*model, nullptr);
    ASSERT_TRUE(builder.begin(request, {}));
    for (size_t at = 0; at < samples.size(); at += 777) {
      live->append(std::span(samples).subspan(at, std::min<size_t>(777, samples.size() - at)));
      while (*builder.step()) {
      }
    }
    EXPECT_TRUE(builder.listening());
    EXPECT_FALSE(builder.prompt()->whole);
    live->end();
    while (*builder.step()) {
    }
    const auto prompt = builder.prompt();
    ASSERT_TRUE(prompt && prompt->whole);
    EXPECT_EQ(prompt->ids, expected->ids);
    EXPECT_EQ(prompt->marks, expected->marks);
    EXPECT_TRUE(std::ranges::equal(prompt->embeds.span(), expected->embeds.span())) << seconds;
    EXPECT_LE(prompt->size(), builder.most_tokens());
  }
}

TEST_P(LiveSounds, EachOfManyIsHeardAsIfAlone) {
  const auto model = test_model(GetParam());
  Rounds rounds(model);
  std::vector<std::shared_ptr<assistant::LiveSound>> lives;
  std::vector<std::shared_ptr<KeepingSink>> sinks;
  std::vector<std::vector<float>> samples;
  for (uint32_t i = 0; i < 5; ++i) {
    lives.push_back(std::make_shared<assistant::LiveSound>());
    samples.push_back(speech_like(0.7 + 0.6 * i, 0.5, i));
    sinks.push_back(rounds.add(i % 2 ? with_everything_before(lives[i]) : alone(lives[i])));
  }
  for (size_t at = 0; at < 80000; at += 400) {
    for (size_t i = 0; i < lives.size(); ++i) {
      if (at < samples[i].size()) lives[i]->append(std::span(samples[i]).subspan(at, std::min<size_t>(400, samples[i].size() - at)));
      else lives[i]->end();
    }
    rounds.step();
  }
  rounds.run();
  for (uint32_t i = 0; i < 5; ++i) {
    const auto sound = whole(samples[i]);
    expect_same(*sinks[i], *answered_alone(model, i % 2 ? with_everything_before(sound) : alone(sound)), "live " + std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LiveSounds, testing::Values("dense_tied", "moe_bf16", "wide_heads"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LiveSound, WhatComesBeforeItsEndIsRunBeforeItsEnd) {
  const auto model = test_model("moe_bf16");  // blocks of one chunk
  Rounds rounds(model);
  const auto live = std::make_shared<assistant::LiveSound>();
  const auto sink = rounds.add(with_everything_before(live));
  const auto samples = speech_like(6.05, 0.5, 3);
  live->append(samples);
  rounds.step(60);
  EXPECT_FALSE(rounds.scheduler().step()) << "there is something to do, but nothing has come";
  const uint64_t before = rounds.scheduler().stats().prompt_tokens_run;
  live->end();
  rounds.run();
  const auto& usage = sink->finish->usage;
  const uint64_t afterwards = rounds.scheduler().stats().prompt_tokens_run - before;
  EXPECT_GT(before, 400u);
  EXPECT_LT(afterwards, static_cast<uint64_t>(usage.prompt_tokens) - before + 64) << "run twice";
  EXPECT_LT(afterwards, 60u);
}

TEST(LiveSound, WhoGoesOnAfterAPauseFindsWhatWasBegun) {
  const auto model = test_model("moe_bf16");
  Rounds rounds(model);
  const auto samples = speech_like(9, 0.5, 3);
  const auto begun = std::span(samples).first(16000 * 6);
  const auto first = std::make_shared<assistant::LiveSound>();
  first->append(begun);
  std::stop_source stop;
  const auto dropped = rounds.add(with_everything_before(first), stop.get_token());
  rounds.step(60);
  first->end();
  rounds.step(3);
  stop.request_stop();
  rounds.step();
  ASSERT_TRUE(dropped->finish);
  EXPECT_EQ(dropped->finish->reason, assistant::FinishReason::cancelled);
  const int64_t found = rounds.scheduler().media()->found(), asked = rounds.scheduler().media()->asked();
  const auto second = std::make_shared<assistant::LiveSound>();
  second->append(begun);
  const auto sink = rounds.add(with_everything_before(second));
  rounds.step(40);
  EXPECT_EQ(rounds.scheduler().media()->found() - found, rounds.scheduler().media()->asked() - asked) << "encoded again";
  second->append(std::span(samples).subspan(begun.size()));
  second->end();
  rounds.run();
  expect_same(*sink, *answered_alone(model, with_everything_before(whole(samples))), "gone on");
  EXPECT_GE(sink->finish->usage.prompt_cached_tokens, 384);
}

// Whenever it stops, nothing stays but what the prefix cache holds, and no event but the last comes.
TEST(LiveSound, AStopAtAnyMomentLeavesNothing) {
  const auto model = test_model("wide_heads");
  const auto samples = speech_like(5, 2, 3);
  for (int when = 0; when < 40; when += 3) {
    Rounds rounds(model);
    const auto live = std::make_shared<assistant::LiveSound>();
    std::stop_source stop;
    const auto sink = rounds.add(with_everything_before(live), stop.get_token());
    for (int i = 0; i < when; ++i) {
      if (i < 10) live->append(std::span(samples).subspan(static_cast<size_t>(i) * 8000, 8000));
      if (i == 12) live->end();
      rounds.step();
    }
    const bool ended = sink->ended();
    const size_t bytes = sink->text.size() + sink->samples.size();
    stop.request_stop();
    rounds.step();
    ASSERT_TRUE(sink->finish);
    EXPECT_TRUE(ended || sink->finish->reason == assistant::FinishReason::cancelled);
    EXPECT_EQ(sink->text.size() + sink->samples.size(), bytes);
    EXPECT_EQ(rounds.scheduler().sessions(), 0u);
    const auto& memory = rounds.scheduler().memory();
    EXPECT_EQ(memory.thinker()->used_pages(), rounds.scheduler().prefixes()->pages());
    EXPECT_EQ(memory.talker()->used_pages(), 0);
    EXPECT_EQ(memory.claimed_pages().thinker + memory.claimed_pages().talker, 0);
    live->append(samples);
    live->end();
    EXPECT_FALSE(rounds.scheduler().step());
  }
}

TEST(LiveSound, HostileOnesGetTheErrorOfAWholeSoundOrAClearOne) {
  const auto model = test_model("dense_tied");
  Rounds rounds(model, {}, SchedulerOptions{.most_live_seconds = 4});
  const auto failed = [&](const assistant::Request& request) {
    const auto sink = rounds.add(request);
    rounds.run();
    EXPECT_TRUE(sink->error);
    return sink->error.value_or(Error{});
  };
  const auto live = [](const std::vector<float>& samples, bool end = true) {
    auto sound = std::make_shared<assistant::LiveSound>();
    sound->append(samples);
    if (end) sound->end();
    return sound;
  };
  for (const size_t count : {0, 1, 200}) {
    const std::vector<float> samples(count);
    const auto error = failed(alone(live(samples))), expected = failed(alone(whole(samples)));
    EXPECT_EQ(error.message, expected.message);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_EQ(error.field, "messages");
  }
  std::vector<float> broken(16000, 0.1f);
  broken[700] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(failed(alone(live(broken, false))).message.find("not finite"), std::string::npos);
  const auto endless = failed(alone(live(std::vector<float>(16000 * 4 + 1), false)));
  EXPECT_EQ(endless.code, ErrorCode::too_large);
  EXPECT_NE(endless.message.find("4 seconds"), std::string::npos) << endless.message;
  EXPECT_NE(failed(test_request({live({}), live({})}, 5)).message.find("one sound"), std::string::npos);
  // What comes after the end is not heard.
  auto ended = live(speech_like(1, 0.5, 1));
  ended->append(std::vector<float>(5000, 0.5f));
  const auto sink = rounds.add(alone(ended));
  rounds.run();
  expect_same(*sink, *answered_alone(model, alone(whole(speech_like(1, 0.5, 1)))), "appended after the end");
}

TEST(LiveSound, OneThatNeitherGoesOnNorEndsIsGivenUp) {
  const auto model = test_model("dense_tied");
  Time now{};
  Rounds rounds(model, {}, SchedulerOptions{.most_live_seconds = 10}, Meter{.now = [&now] { return now; }});
  const auto sink = rounds.add(alone(std::make_shared<assistant::LiveSound>()));
  rounds.step(5);
  now = after(now, 19);
  rounds.step();
  EXPECT_FALSE(sink->ended());
  now = after(now, 2);
  rounds.step();
  ASSERT_TRUE(sink->error);
  EXPECT_EQ(sink->error->code, ErrorCode::too_large);
}

// The claim holds for the longest it may become; what it turned out not to need is given back.
TEST(LiveSound, ItsMemoryIsClaimedFromTheBeginning) {
  const auto model = test_model("dense_tied");
  Rounds rounds(model, {}, SchedulerOptions{.most_live_seconds = 60});
  const auto live = std::make_shared<assistant::LiveSound>();
  const auto sink = rounds.add(alone(live));
  rounds.step(3);
  const auto& memory = rounds.scheduler().memory();
  const int64_t claimed = memory.claimed_pages().thinker;
  EXPECT_GE(claimed * 64, 60 * 13);
  live->append(speech_like(1, 0.5, 1));
  live->end();
  rounds.step(10);
  EXPECT_LT(memory.claimed_pages().thinker, claimed);
  // Where there is little memory or context, the limit is what fits.
  const size_t page = model::KvPages::page_bytes(model->config.thinker.text, {}) + model::KvPages::page_bytes(model->config.talker.text, {});
  Rounds small(model, {.bytes = 6 * page}, SchedulerOptions{});
  const auto long_live = std::make_shared<assistant::LiveSound>();
  const auto refused = small.add(alone(long_live));
  long_live->append(speech_like(40, 0.5, 1));
  small.run();
  ASSERT_TRUE(refused->error);
  EXPECT_NE(refused->error->message.find("seconds"), std::string::npos) << refused->error->message;
}

TEST(LiveSound, ComesFromOtherThreads) {
  const auto model = test_model("dense_tied");
  std::vector<std::vector<float>> samples;
  std::vector<std::shared_ptr<KeepingSink>> expected;
  for (uint32_t i = 0; i < 3; ++i) {
    samples.push_back(speech_like(0.6 + 0.5 * i, 0.5, i));
    expected.push_back(answered_alone(model, alone(whole(samples.back()))));
  }
  Engine engine(model, {.max_sessions = 4});
  std::vector<std::jthread> speakers;
  for (size_t i = 0; i < 3; ++i) {
    speakers.emplace_back([&, i] {
      for (int turn = 0; turn < 4; ++turn) {
        const auto live = std::make_shared<assistant::LiveSound>();
        const auto sink = std::make_shared<KeepingSink>();
        std::stop_source stop;
        ASSERT_TRUE(engine.submit(alone(live), sink, stop.get_token()));
        for (size_t at = 0; at < samples[i].size(); at += 1600) {
          live->append(std::span(samples[i]).subspan(at, std::min<size_t>(1600, samples[i].size() - at)));
          if (turn == 1 && at > 5000) stop.request_stop();
          std::this_thread::yield();
        }
        live->end();
        sink->wait();
        ASSERT_TRUE(sink->finish);
        if (turn == 1) EXPECT_EQ(sink->finish->reason, assistant::FinishReason::cancelled);
        else expect_same(*sink, *expected[i], "speaker " + std::to_string(i));
        static_cast<void>(engine.stats());
      }
    });
  }
}

}  // namespace
}  // namespace calliope::engine
