#pragma once

// For tests: small models, requests of all kinds, and a sink that keeps what it hears.
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <condition_variable>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler.h"

namespace calliope::engine {

inline std::shared_ptr<const model::Model> test_model(const std::string& name) {
  auto loaded = model::load_model(std::string(CALLIOPE_SOURCE_DIR) + "/tests/fixtures/" + name);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return *loaded;
}

/// The same, drawing codes at random as released checkpoints do.
inline std::shared_ptr<const model::Model> test_model_that_samples(const std::string& name) {
  const auto model = std::const_pointer_cast<model::Model>(test_model(name));
  model->generation.talker.do_sample = true;
  model->generation.code_predictor.do_sample = true;
  return model;
}

class KeepingSink final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    std::lock_guard lock(mutex_);
    EXPECT_FALSE(ended_) << "an event after the last one";
    if (const auto* delta = std::get_if<assistant::TextDelta>(&event)) {
      text += delta->text;
    } else if (const auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
      samples.insert(samples.end(), audio->samples.begin(), audio->samples.end());
    } else if (auto* scored = std::get_if<assistant::Scored>(&event)) {
      scores = std::move(scored->log_probabilities);
    } else if (auto* called = std::get_if<assistant::ToolCalled>(&event)) {
      calls.push_back(std::move(called->call));
    } else if (const auto* mark = std::get_if<assistant::SpokenMark>(&event)) {
      marks.push_back({*mark, text.size(), samples.size()});
    } else {
      if (const auto* failed = std::get_if<assistant::Failed>(&event)) error = failed->error;
      if (const auto* finished = std::get_if<assistant::Finished>(&event)) finish = *finished;
      ended_ = true;
      wake_.notify_all();
    }
  }
  bool ended() const {
    std::lock_guard lock(mutex_);
    return ended_;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ended_; });
  }

  // A mark, and how much had been sent before it.
  struct Marked {
    assistant::SpokenMark mark;
    size_t text_bytes = 0, samples = 0;
  };

  std::string text;
  std::vector<float> samples;
  std::vector<Marked> marks;
  std::vector<double> scores;
  std::vector<assistant::ToolCall> calls;
  std::optional<Error> error;
  std::optional<assistant::Finished> finish;

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
};

inline assistant::ImagePart test_picture(int width, int height, int seed) {
  assistant::Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i) image.rgb.push_back(static_cast<uint8_t>((i * 37 + seed * 101 + i / 50) % 251));
  return std::make_shared<const assistant::Image>(std::move(image));
}

inline assistant::SoundPart test_sound(int samples, int seed) {
  assistant::Sound sound;
  for (int i = 0; i < samples; ++i) sound.samples.push_back(float((i * (seed + 3)) % 199) / 199.0f - 0.5f);
  return std::make_shared<const assistant::Sound>(std::move(sound));
}

inline assistant::Request test_request(std::vector<assistant::Part> parts, int max_tokens, bool speak = false) {
  assistant::Request request;
  request.turns.push_back({assistant::Role::user, std::move(parts)});
  request.max_tokens = max_tokens;
  request.speak = speak;
  request.sampling.seed = 7;
  request.sampling.temperature = 0.0f;
  return request;
}

/// Of different lengths and kinds: text, media, spoken, drawn at random.
inline std::vector<assistant::Request> test_requests() {
  std::string long_text;
  for (int i = 0; i < 12; ++i) long_text += "The quick brown fox number " + std::to_string(i) + " jumps. ";
  std::vector<assistant::Request> requests = {
      test_request({"Hello there, who are you?"}, 12, true),
      test_request({long_text}, 9),
      test_request({test_picture(48, 64, 1), "What is this?"}, 17, true),
      test_request({test_sound(20000, 2), " and ", test_sound(9000, 3)}, 25, true),
      test_request({long_text, test_picture(40, 40, 4), test_sound(12000, 5), long_text}, 6, true),
      test_request({"Say something surprising."}, 30),
  };
  requests[5].sampling.temperature = 0.9f;
  requests[2].sampling.temperature = 1.1f;
  return requests;
}

/// Sessions of one scheduler, driven round by round.
class Rounds {
 public:
  explicit Rounds(std::shared_ptr<const model::Model> model, const KvOptions& kv = {}, bool share = true)
      : Rounds(std::move(model), kv, SchedulerOptions{.share_prefixes = share}) {}
  Rounds(std::shared_ptr<const model::Model> model, const KvOptions& kv, const SchedulerOptions& options,
         Meter meter = {})
      : model_(std::move(model)), scheduler_(*model_, *KvMemory::make(*model_, kv), options, std::move(meter)) {}

  std::shared_ptr<KeepingSink> add(const assistant::Request& request, std::stop_token stop = {}) {
    auto sink = std::make_shared<KeepingSink>();
    scheduler_.add(std::make_unique<Session>(model_, request, sink, std::move(stop)));
    return sink;
  }
  void step(int rounds = 1) {
    for (int i = 0; i < rounds; ++i) scheduler_.step();
  }
  void run() {
    for (int i = 0; scheduler_.sessions() > 0; ++i) {
      ASSERT_LT(i, 100000) << "a session does not end";
      scheduler_.step();
    }
  }
  Scheduler& scheduler() { return scheduler_; }

 private:
  std::shared_ptr<const model::Model> model_;
  Scheduler scheduler_;
};

inline std::shared_ptr<KeepingSink> answered_alone(const std::shared_ptr<const model::Model>& model, const assistant::Request& request,
                                                   const KvOptions& kv = {}) {
  Rounds rounds(model, kv, false);
  auto sink = rounds.add(request);
  rounds.run();
  return sink;
}

/// Token for token and bit for bit.
inline void expect_same(const KeepingSink& actual, const KeepingSink& expected, const std::string& what) {
  EXPECT_EQ(actual.error.has_value(), expected.error.has_value()) << what;
  EXPECT_EQ(actual.text, expected.text) << what;
  EXPECT_TRUE(actual.samples == expected.samples) << what << ": " << actual.samples.size() << " samples, not " << expected.samples.size();
  ASSERT_EQ(actual.marks.size(), expected.marks.size()) << what;
  for (size_t i = 0; i < actual.marks.size(); ++i) {
    EXPECT_EQ(actual.marks[i].mark.text_bytes, expected.marks[i].mark.text_bytes) << what;
    EXPECT_EQ(actual.marks[i].mark.samples, expected.marks[i].mark.samples) << what;
  }
  ASSERT_TRUE(actual.finish && expected.finish) << what;
  EXPECT_EQ(actual.finish->reason, expected.finish->reason) << what;
  EXPECT_EQ(actual.finish->usage.completion_tokens, expected.finish->usage.completion_tokens) << what;
  EXPECT_EQ(actual.finish->usage.completion_audio_frames, expected.finish->usage.completion_audio_frames) << what;
}

}  // namespace calliope::engine
