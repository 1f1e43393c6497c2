// Whole prompts against transformers: every intermediate tensor of a mixed one, 64 greedy tokens on 20, three seconds
// of codes and their waveform on three.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/prompt.h"
#include "engine/speech.h"
#include "model/model.h"
#include "model/positions.h"
#include "parity_inputs.h"

namespace calliope::parity {
namespace {

using tensor::ConstRows;
using tensor::Tensor;

constexpr double kModule = 1e-4, kWhole = 1e-3;
constexpr float kTie = 1e-4f;  // two best of the reference this close may come out in either order
constexpr size_t kMixed = 11;
constexpr int kFrames = 38;  // 3 s; one configuration ends an answer itself

std::vector<float> joined(const std::vector<Tensor>& parts) {
  std::vector<float> out;
  for (const Tensor& part : parts) out.insert(out.end(), part.span().begin(), part.span().end());
  return out;
}

class ParityPrompts : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto loaded = model::load_model(fixture(GetParam()));
    ASSERT_TRUE(loaded) << loaded.error().message;
    model_ = *loaded;
  }

  engine::Prompt prompt(size_t index) const {
    auto built = engine::build_prompt(*model_, prompts_.at(index));
    EXPECT_TRUE(built) << "prompt " << index << ": " << built.error().message;
    return built ? std::move(*built) : engine::Prompt();
  }

  // Runs the prompt, which leaves its normed output in prompt.embeds.
  void prefill(engine::Prompt& prompt, model::DecoderState& state, const model::ThinkerOutput& output = {}) const {
    std::vector<ConstRows> deepstack;
    for (const Tensor& level : prompt.deepstack) deepstack.push_back(level.rows());
    model_->thinker.forward({.embeds = prompt.embeds.rows(),
                             .positions = &prompt.positions,
                             .visual_rows = prompt.visual_rows,
                             .deepstack = deepstack},
                            state, output);
  }

  // Greedy tokens after a prefill; nothing ends them early.
  std::vector<int32_t> answer(const engine::Prompt& prompt, model::DecoderState& state, size_t tokens) const {
    const model::DecoderConfig& config = model_->thinker.config();
    Tensor hidden({1, config.hidden_size}), logits({1, config.vocab_size});
    std::copy_n(prompt.embeds.rows().row(prompt.size() - 1), config.hidden_size, hidden.data());
    int64_t position = model::next_position(prompt.positions);
    std::vector<int32_t> ids;
    while (true) {
      model_->thinker.logits(hidden.rows(), logits.rows());
      const auto scores = logits.span();
      ids.push_back(static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin()));
      if (ids.size() == tokens) return ids;
      model_->thinker.embed({&ids.back(), 1}, hidden.rows());
      model::Positions positions;
      positions.push(position++);
      model_->thinker.forward({.embeds = hidden.rows(), .positions = &positions}, state);
    }
  }

  void near(const std::string& part, const std::string& name, std::span<const float> actual, double most) const {
    expect_near(part, GetParam() + ": " + name, actual, expected_.floats(name), most);
  }

  std::shared_ptr<const model::Model> model_;
  Expected expected_{fixture(GetParam() + "/expected.safetensors")};
  std::vector<assistant::Request> prompts_ = prompts();
};

// Choices equal the reference's up to the first one that it found as good as a tie.
void expect_same_choices(const std::string& name, const std::vector<int32_t>& actual, std::span<const int32_t> expected,
                         std::span<const float> margins) {
  ASSERT_EQ(actual.size(), expected.size()) << name;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i]) continue;
    EXPECT_LT(margins[i], kTie) << name << ": choice " << i << " is " << actual[i] << ", the reference's "
                                << expected[i];
    return;  // what follows a different choice cannot be compared
  }
}

TEST_P(ParityPrompts, EveryTensorOfAMixedPrompt) {
  engine::Prompt prompt = this->prompt(kMixed);
  ASSERT_EQ(prompt.ids, expected_.integers("mixed.input_ids"));
  std::vector<int32_t> positions;
  for (const auto& axis : prompt.positions.axis) positions.insert(positions.end(), axis.begin(), axis.end());
  EXPECT_EQ(positions, expected_.integers("mixed.position_ids"));
  near("audio features", "mixed.audio_features", joined(prompt.audio_features), kModule);
  near("image features", "mixed.image_features", joined(prompt.image_features), kModule);
  ASSERT_EQ(prompt.deepstack.size(), expected_.names("mixed.deepstack.").size());
  for (size_t i = 0; i < prompt.deepstack.size(); ++i) {
    near("image features", "mixed.deepstack." + std::to_string(i), prompt.deepstack[i].span(), kModule);
  }
  model::DecoderState state;
  std::vector<Tensor> hidden_states;
  prefill(prompt, state, {.hidden_states = &hidden_states});
  ASSERT_EQ(hidden_states.size(), expected_.names("mixed.hidden_states.").size());
  for (size_t i = 0; i < hidden_states.size(); ++i) {
    near("hidden states", "mixed.hidden_states." + std::to_string(i), hidden_states[i].span(), kModule);
  }
  Tensor logits({prompt.size(), model_->thinker.config().vocab_size});
  model_->thinker.logits(prompt.embeds.rows(), logits.rows());
  near("logits", "mixed.logits", logits.span(), kWhole);
}

TEST_P(ParityPrompts, GreedyTokens) {
  const auto expected = expected_.integers("generated");
  const auto margins = expected_.floats("margins");
  const auto tokens = static_cast<size_t>(expected_.shape("generated")[1]);
  ASSERT_EQ(expected.size(), prompts_.size() * tokens);
  ASSERT_EQ(tokens, 64u);
  for (size_t i = 0; i < prompts_.size(); ++i) {
    engine::Prompt prompt = this->prompt(i);
    ASSERT_EQ(prompt.ids, expected_.integers("prompt_ids." + std::to_string(i))) << "prompt " << i;
    model::DecoderState state;
    prefill(prompt, state);
    expect_same_choices("prompt " + std::to_string(i), answer(prompt, state, tokens),
                        std::span(expected).subspan(i * tokens, tokens),
                        std::span(margins).subspan(i * tokens, tokens));
  }
}

TEST_P(ParityPrompts, CodesAndWaveform) {
  int spoken = 0;
  for (const std::string& name : expected_.names("speech.")) {
    if (!name.ends_with(".codes")) continue;
    const std::string stem = name.substr(0, name.size() - 5);  // "speech.<prompt>."
    const auto index = static_cast<size_t>(std::stoul(stem.substr(7)));
    engine::Prompt prompt = this->prompt(index);
    model::DecoderState state;
    Tensor accept;
    prefill(prompt, state, {.accept_hidden = &accept});
    std::vector<float> media_rows;
    for (int64_t row = 0; row < prompt.size(); ++row) {
      if (!prompt.is_media(row, model_->config.thinker)) continue;
      media_rows.insert(media_rows.end(), accept.rows().row(row), accept.rows().row(row) + accept.shape()[1]);
    }
    Tensor media({static_cast<int64_t>(media_rows.size()) / accept.shape()[1], accept.shape()[1]});
    std::copy(media_rows.begin(), media_rows.end(), media.data());

    const auto generated = expected_.integers(stem + "generated");
    engine::Speech speech(*model_, prompt, media.rows(), index == 0 ? "Ethan" : "chelsie",
                          {.greedy = true, .max_frames = kFrames});
    // The reference never feeds the last token it generates, so it is not spoken.
    EXPECT_EQ(answer(prompt, state, generated.size()), generated);
    for (size_t i = 0; i + 1 < generated.size(); ++i) speech.push(generated[i]);
    speech.finish_text();
    std::vector<float> waveform;
    while (!speech.done()) {
      const auto samples = speech.step();
      ASSERT_TRUE(samples) << samples.error().message;
      waveform.insert(waveform.end(), samples->begin(), samples->end());
    }
    const auto codes = expected_.integers(name);
    expect_same_choices(name, speech.codes(), codes, expected_.floats(stem + "margins"));
    ++spoken;
    const auto waves = expected_.names(stem + "waveform.");
    if (waves.empty() || speech.codes() != codes) continue;
    // waveform.<samples>; of long ones every fourth sample is kept.
    ASSERT_EQ(static_cast<int64_t>(waveform.size()), std::stoll(waves[0].substr(stem.size() + 9)));
    if (waveform.size() != static_cast<size_t>(expected_.shape(waves[0])[0])) {
      for (size_t i = 0; 4 * i < waveform.size(); ++i) waveform[i] = waveform[4 * i];
      waveform.resize((waveform.size() + 3) / 4);
    }
    near("waveform", waves[0], waveform, kWhole);
  }
  EXPECT_EQ(spoken, 3);
}

INSTANTIATE_TEST_SUITE_P(All, ParityPrompts, testing::ValuesIn(configurations()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace calliope::parity
