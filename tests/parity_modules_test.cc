// Every part of the model alone against transformers, in all configurations under tests/fixtures.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "model/model.h"
#include "model/positions.h"
#include "parity_inputs.h"

namespace calliope::parity {
namespace {

using tensor::ConstRows;
using tensor::Tensor;

constexpr double kModule = 1e-4;
constexpr int64_t kTalkerRows = 23, kTalkerSteps = 6;

std::vector<int64_t> numbers(const std::string& text, char between) {
  std::vector<int64_t> out;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, between);) out.push_back(std::stoll(item));
  return out;
}

std::vector<float> joined(const std::vector<Tensor>& parts) {
  std::vector<float> out;
  for (const Tensor& part : parts) out.insert(out.end(), part.span().begin(), part.span().end());
  return out;
}

std::vector<float> copied(std::span<const float> from) { return {from.begin(), from.end()}; }

model::Positions counted(int64_t begin, int64_t count) {
  model::Positions positions;
  for (int64_t i = 0; i < count; ++i) positions.push(begin + i);
  return positions;
}

class ParityModules : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto loaded = model::load_model(fixture(GetParam()));
    ASSERT_TRUE(loaded) << loaded.error().message;
    model_ = *loaded;
  }
  void near(const std::string& part, const std::string& name, std::span<const float> actual) const {
    expect_near(part, GetParam() + ": " + name, actual, expected_.floats(name), kModule);
  }

  std::shared_ptr<const model::Model> model_;
  Expected expected_{fixture(GetParam() + "/expected.safetensors")};
};

TEST_P(ParityModules, AudioEncoder) {
  const model::AudioEncoder& encoder = model_->audio_encoder;
  const auto names = expected_.names("audio_encoder.");
  EXPECT_GE(names.size(), 7u);
  for (const std::string& name : names) {
    std::vector<Tensor> mels;
    for (const int64_t frames : numbers(name.substr(14), '.')) {
      mels.push_back(noise(static_cast<uint32_t>(frames), {frames, encoder.config().num_mel_bins}));
    }
    std::vector<ConstRows> clips;
    for (const Tensor& mel : mels) clips.push_back(std::as_const(mel).rows());
    const auto features = encoder.encode(clips);
    ASSERT_TRUE(features) << name << ": " << features.error().message;
    near("audio encoder", name, joined(*features));
  }
}

TEST_P(ParityModules, VisionEncoder) {
  const model::VisionEncoder& encoder = model_->vision_encoder;
  const model::VisionConfig& config = encoder.config();
  int seen = 0;
  for (const std::string& name : expected_.names("vision.")) {
    if (!name.ends_with(".features")) continue;
    const std::string stem = name.substr(0, name.size() - 9);
    const auto size = numbers(stem.substr(7), 'x');
    const model::ImageGrid grid{size[0], size[1] * config.spatial_merge_size, size[2] * config.spatial_merge_size};
    const Tensor pixels =
        noise(static_cast<uint32_t>(10 * size[1] + size[2]),
              {grid.patches(), 3 * config.temporal_patch_size * config.patch_size * config.patch_size});
    const auto features = encoder.encode(pixels.rows(), grid);
    ASSERT_TRUE(features) << name << ": " << features.error().message;
    near("vision encoder", name, features->features.span());
    ASSERT_EQ(features->deepstack.size(), config.deepstack_visual_indexes.size());
    for (size_t i = 0; i < features->deepstack.size(); ++i) {
      near("vision encoder", stem + ".deepstack." + std::to_string(i), features->deepstack[i].span());
    }
    ++seen;
  }
  EXPECT_EQ(seen, 5);
}

TEST_P(ParityModules, Thinker) {
  const model::DecoderConfig& config = model_->thinker.config();
  const auto tokens = expected_.shape("thinker.hidden")[0];
  Tensor x = noise(93, {tokens, config.hidden_size});
  model::Positions positions;
  for (uint32_t axis = 0; axis < 3; ++axis) {
    for (const int32_t position : whole_numbers(90 + axis, 50, tokens)) positions.axis[axis].push_back(position);
  }
  model::DecoderState state;
  model_->thinker.forward({.embeds = x.rows(), .positions = &positions}, state);
  near("thinker", "thinker.hidden", x.span());
  Tensor logits({tokens, config.vocab_size});
  model_->thinker.logits(x.rows(), logits.rows());
  near("thinker", "thinker.logits", logits.span());
}

// Runs the talker with the fixture's codes forced, its prompt given in pieces of `piece` rows.
struct ForcedTalker {
  std::vector<float> hidden, logits, residual;

  ForcedTalker(const model::Talker& talker, int64_t piece) {
    const model::TalkerConfig& config = talker.config();
    const int64_t size = config.text.hidden_size, groups = config.num_code_groups;
    Tensor x = noise(70, {kTalkerRows, size});
    const Tensor rows = noise(72, {kTalkerSteps, size});
    const auto codes =
        whole_numbers(71, static_cast<uint32_t>(config.code_predictor.decoder.vocab_size), kTalkerSteps * groups);
    model::TalkerState state;
    for (int64_t begin = 0; begin < kTalkerRows; begin += piece) {
      const int64_t count = std::min(piece, kTalkerRows - begin);
      talker.prefill(x.rows().slice(begin, count), counted(begin, count), state);
    }
    const auto keep = [](std::vector<float>& to, std::span<const float> from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    for (int64_t step = 0; step <= kTalkerSteps; ++step) {
      keep(hidden, state.hidden.span());
      size_t group = 0;
      const auto forced = [&] {
        return step == kTalkerSteps ? config.codec_eos_token_id : codes[size_t(step * groups) + group++];
      };
      std::vector<int32_t> frame(static_cast<size_t>(groups));
      const bool more = talker.step(
          {rows.rows().row(std::min(step, kTalkerSteps - 1)), static_cast<size_t>(size)},
          [&](std::span<float> x) { return keep(logits, x), forced(); },
          [&](std::span<float> x) { return keep(residual, x), forced(); }, state, frame);
      EXPECT_EQ(more, step < kTalkerSteps);
    }
  }
};

TEST_P(ParityModules, TalkerAndCodePredictor) {
  const model::Talker& talker = *model_->talker;
  const ForcedTalker run(talker, kTalkerRows);
  near("talker", "talker.hidden", run.hidden);
  near("talker", "talker.logits", run.logits);
  near("code predictor", "predictor.logits", run.residual);

  const Tensor x = noise(73, {5, talker.config().thinker_hidden_size});
  Tensor out({5, talker.config().text.hidden_size});
  talker.project_text(x.rows(), out.rows());
  near("talker", "talker.text_projection", out.span());
  talker.project_hidden(x.rows(), out.rows());
  near("talker", "talker.hidden_projection", out.span());
}

TEST_P(ParityModules, Code2Wav) {
  const model::Code2Wav& vocoder = *model_->code2wav;
  const auto names = expected_.names("code2wav.");
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) {
    const int64_t frames = std::stoll(name.substr(9));
    const auto codes =
        whole_numbers(static_cast<uint32_t>(60 + frames), static_cast<uint32_t>(vocoder.config().codebook_size),
                      frames * vocoder.config().num_quantizers);
    const auto samples = vocoder.decode(codes);
    ASSERT_TRUE(samples) << name << ": " << samples.error().message;
    EXPECT_EQ(static_cast<int64_t>(samples->size()), vocoder.samples(frames));
    near("code2wav", name, *samples);
  }
}

// Streamed equals whole, to the last bit, for steps of 1, 2, 3 and 7.
constexpr int64_t kSteps[] = {1, 2, 3, 7};

TEST_P(ParityModules, VocoderStreamedEqualsWhole) {
  const model::Code2Wav& vocoder = *model_->code2wav;
  const int64_t frames = 29, groups = vocoder.config().num_quantizers;
  const auto codes = whole_numbers(8, static_cast<uint32_t>(vocoder.config().codebook_size), frames * groups);
  model::Code2WavStream stream(vocoder);
  const auto whole_step = stream.step(codes);
  ASSERT_TRUE(whole_step) << whole_step.error().message;
  const std::vector<float> whole = copied(*whole_step);
  EXPECT_EQ(static_cast<int64_t>(whole.size()), vocoder.samples(frames));
  for (const int64_t step : kSteps) {
    stream.reset();
    std::vector<float> streamed;
    for (int64_t at = 0; at < frames; at += step) {
      const auto count = static_cast<size_t>(std::min(step, frames - at) * groups);
      const auto part = stream.step(std::span(codes).subspan(static_cast<size_t>(at * groups), count));
      ASSERT_TRUE(part) << part.error().message;
      streamed.insert(streamed.end(), part->begin(), part->end());
      ASSERT_EQ(static_cast<int64_t>(streamed.size()), vocoder.samples(std::min(at + step, frames)));
    }
    EXPECT_TRUE(streamed == whole) << "in steps of " << step << ": relative error " << relative_error(streamed, whole);
  }
}

TEST_P(ParityModules, ThinkerStreamedEqualsWhole) {
  const model::DecoderConfig& config = model_->thinker.config();
  const int64_t tokens = 31, levels = 2;
  const auto run = [&](int64_t step) {
    Tensor x = noise(5, {tokens, config.hidden_size});
    const Tensor features = noise(6, {tokens, config.hidden_size});
    model::DecoderState state;
    for (int64_t at = 0; at < tokens; at += step) {
      const int64_t count = std::min(step, tokens - at);
      const auto positions = counted(at, count);
      // Every second token is a visual one.
      std::vector<int64_t> visual;
      for (int64_t row = 0; row < count; ++row) {
        if ((at + row) % 2 == 1) visual.push_back(row);
      }
      const std::vector<ConstRows> deepstack(static_cast<size_t>(levels),
                                             features.rows().slice(at / 2, static_cast<int64_t>(visual.size())));
      model_->thinker.forward(
          {.embeds = x.rows().slice(at, count), .positions = &positions, .visual_rows = visual, .deepstack = deepstack},
          state);
    }
    return copied(x.span());
  };
  const auto whole = run(tokens);
  for (const int64_t step : kSteps) {
    const auto streamed = run(step);
    EXPECT_TRUE(streamed == whole) << "in steps of " << step << ": relative error " << relative_error(streamed, whole);
  }
}

TEST_P(ParityModules, TalkerStreamedEqualsWhole) {
  const ForcedTalker whole(*model_->talker, kTalkerRows);
  for (const int64_t step : kSteps) {
    const ForcedTalker streamed(*model_->talker, step);
    EXPECT_TRUE(streamed.hidden == whole.hidden && streamed.logits == whole.logits &&
                streamed.residual == whole.residual)
        << "in steps of " << step << ": relative error " << relative_error(streamed.hidden, whole.hidden);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ParityModules, testing::ValuesIn(configurations()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace calliope::parity
