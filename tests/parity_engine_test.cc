// The engine against its own parts run at once, and `calliope trace` from the tensors of the reference's processor.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "engine/engine.h"
#include "engine/trace.h"
#include "model/model.h"
#include "parity_inputs.h"

namespace calliope::parity {
namespace {

using tensor::Tensor;
using tensor::View;

class CollectingSink final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    std::lock_guard lock(mutex_);
    if (const auto* delta = std::get_if<assistant::TextDelta>(&event)) {
      text += delta->text;
    } else if (const auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
      samples.insert(samples.end(), audio->samples.begin(), audio->samples.end());
    } else {
      if (const auto* failed = std::get_if<assistant::Failed>(&event)) error = failed->error.message;
      ended_ = true;
      wake_.notify_all();
    }
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ended_; });
  }
  std::string text, error;
  std::vector<float> samples;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
};

std::shared_ptr<const model::Model> load(const std::string& name) {
  auto loaded = model::load_model(fixture(name));
  EXPECT_TRUE(loaded) << loaded.error().message;
  return *loaded;
}

// All prompts as one long conversation, several pieces of prefill long, with media across their borders.
assistant::Request long_conversation() {
  assistant::Request request;
  for (const auto& prompt : prompts())
    request.turns.insert(request.turns.end(), prompt.turns.begin(), prompt.turns.end());
  request.max_tokens = 20;
  request.speak = true;
  request.voice = "Chelsie";
  return request;
}

std::vector<int32_t> narrowed(const std::vector<int64_t>& from) { return {from.begin(), from.end()}; }

class ParityEngine : public testing::TestWithParam<std::string> {};

// Session: prefill in pieces, text and speech step by step in turn with other sessions. trace(): everything at once.
TEST_P(ParityEngine, SessionsEqualTheWhole) {
  const auto model = load(GetParam());
  const assistant::Request request = long_conversation();
  auto prompt = engine::build_prompt(*model, request);
  ASSERT_TRUE(prompt) << prompt.error().message;
  ASSERT_GT(prompt->size(), 600);
  const auto whole = engine::trace(*model, std::move(*prompt),
                                   {.max_tokens = request.max_tokens, .speak = true, .voice = request.voice});
  ASSERT_TRUE(whole) << whole.error().message;
  const auto ids = narrowed(whole->integers.at("generated_ids").values);

  engine::Engine engine(model, {});
  const auto sink = std::make_shared<CollectingSink>(), other = std::make_shared<CollectingSink>();
  assistant::Request short_request = prompts()[0];
  short_request.max_tokens = 9;
  ASSERT_TRUE(engine.submit(request, sink, {}));
  ASSERT_TRUE(engine.submit(short_request, other, {}));
  sink->wait();
  other->wait();
  EXPECT_EQ(sink->error, "");
  EXPECT_EQ(sink->text, model->tokenizer.decode(ids, true));
  EXPECT_FALSE(other->text.empty() && other->error.empty());
  const auto& wave = whole->floats.at("waveform");
  EXPECT_GT(wave.elements(), 100);
  EXPECT_TRUE(std::ranges::equal(sink->samples, wave.span()))
      << sink->samples.size() << " samples instead of " << wave.elements() << ", relative error "
      << relative_error(sink->samples, wave.span());
}

INSTANTIATE_TEST_SUITE_P(All, ParityEngine, testing::ValuesIn(configurations()),
                         [](const auto& info) { return info.param; });

// Inputs as the reference's processor gives them, put together from our own preprocessing of the same prompt.
struct ProcessorTensors {
  std::vector<int64_t> ids, grids, mask;
  Tensor pixels, features;
  std::map<std::string, View> views;

  explicit ProcessorTensors(const model::Model& model) {
    const auto request = prompts()[4];
    const auto& image = *std::get<assistant::ImagePart>(request.turns[0].parts[0]);
    const auto& sound = *std::get<assistant::SoundPart>(request.turns[0].parts[1]);
    const auto patches = *model.image_processor.process(image.rgb, image.width, image.height);
    pixels = patches.pixel_values;
    grids = {patches.grid.t, patches.grid.h, patches.grid.w};
    const Tensor mel = *model.log_mel.compute(sound.samples);
    // Padded by 9 frames that the mask leaves out.
    const int64_t frames = mel.shape()[0], mels = mel.shape()[1], padded = frames + 9;
    features = Tensor({1, mels, padded});
    for (int64_t t = 0; t < padded; ++t) {
      mask.push_back(t < frames);
      for (int64_t m = 0; m < mels; ++m) features.data()[m * padded + t] = t < frames ? mel.rows().row(t)[m] : 77.0f;
    }
    const auto prompt = *engine::build_prompt(model, request);
    ids.assign(prompt.ids.begin(), prompt.ids.end());
    const auto whole = [](const std::vector<int64_t>& from, tensor::Shape shape) {
      return View{tensor::DType::i64, shape, reinterpret_cast<const std::byte*>(from.data())};
    };
    views["input_ids"] = whole(ids, {1, static_cast<int64_t>(ids.size())});
    views["pixel_values"] = pixels.view();
    views["image_grid_thw"] = whole(grids, {1, 3});
    views["input_features"] = features.view();
    views["feature_attention_mask"] = whole(mask, {1, padded});
  }

  // Through a file, as the command gets them.
  Result<engine::Prompt> prompt(const model::Model& model) const {
    const std::string path = testing::TempDir() + "parity_inputs.safetensors";
    TRY_VOID(tensor::save_safetensors(path, views));
    TRY(const auto file, tensor::SafetensorsFile::open(path));
    return engine::prompt_from_tensors(model, file);
  }
};

TEST(ParityTrace, TensorsOfTheProcessorGiveTheSamePromptAsARequest) {
  const auto model = load("dense_tied");
  const ProcessorTensors inputs(*model);
  auto given = inputs.prompt(*model);
  ASSERT_TRUE(given) << given.error().message;
  auto built = engine::build_prompt(*model, prompts()[4]);
  ASSERT_TRUE(built);
  const auto a = engine::trace(*model, std::move(*given), {.max_tokens = 5}),
             b = engine::trace(*model, std::move(*built), {.max_tokens = 5});
  ASSERT_TRUE(a && b);
  ASSERT_EQ(a->views().size(), b->views().size());
  EXPECT_EQ(a->integers.at("generated_ids").values, b->integers.at("generated_ids").values);
  for (const auto& [name, tensor] : b->floats) {
    EXPECT_TRUE(std::ranges::equal(a->floats.at(name).span(), tensor.span())) << name;
  }
  for (const char* name : {"input_ids", "position_ids", "generated_ids"})
    EXPECT_TRUE(a->integers.contains(name)) << name;
  for (const char* name : {"audio_features", "image_features", "deepstack.1", "hidden_states.3", "logits"}) {
    EXPECT_TRUE(a->floats.contains(name)) << name;
  }
}

TEST(ParityTrace, ContradictoryTensorsAreRefusedByName) {
  const auto model = load("dense_tied");
  const auto refused = [&](const std::string& name, auto change) {
    ProcessorTensors inputs(*model);
    change(inputs);
    const auto prompt = inputs.prompt(*model);
    ASSERT_FALSE(prompt) << name;
    EXPECT_NE(prompt.error().message.find(name), std::string::npos) << prompt.error().message;
  };
  refused("input_ids", [](auto& t) { t.views.erase("input_ids"); });
  refused("input_ids", [](auto& t) { t.views["input_ids"] = t.features.view(); });
  refused("image_grid_thw", [](auto& t) { t.views.erase("image_grid_thw"); });
  refused("image_grid_thw", [](auto& t) { t.grids[1] += 2; });
  refused("image_grid_thw", [](auto& t) { t.grids[1] = int64_t{1} << 40; });
  refused("image_grid_thw", [](auto& t) { t.grids[2] = -1; });
  refused("pixel_values", [](auto& t) { t.grids[1] -= 2; });
  refused("input_features", [](auto& t) { t.views["input_features"] = t.views["input_ids"]; });
  refused("feature_attention_mask", [](auto& t) { t.views["feature_attention_mask"] = t.views["input_ids"]; });
  refused("audio", [](auto& t) { t.views.erase("input_features"); });
  refused("vocabulary", [](auto& t) { t.ids[0] = 1 << 20; });
  refused("vocabulary", [](auto& t) { t.ids[0] = -5; });
}

}  // namespace
}  // namespace calliope::parity
