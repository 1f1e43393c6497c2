#include "model/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <vector>

#include "base/memory_limit.h"
#include "base/thread_pool.h"
#include "model/gguf_source.h"
#include "model/model.h"
#include "tensor/gguf.h"
#include "tensor/gguf_writer.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using tensor::View;
using testing::HasSubstr;

class Quantize : public testing::Test {
 protected:
  Quantize() { fs::create_directories(folder_); }
  ~Quantize() override { fs::remove_all(folder_); }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  static ModelSource open(const std::string& path) {
    auto source = open_model_source(path);
    EXPECT_TRUE(source) << source.error().message;
    return *std::move(source);
  }
  static std::string fixture(const std::string& name) { return CALLIOPE_SOURCE_DIR "/tests/fixtures/" + name; }

 private:
  fs::path folder_ = fs::temp_directory_path() / ("calliope-quantize-" + std::to_string(::getpid()));
};

std::vector<float> logits_of(const Model& model) {
  const DecoderConfig& c = model.config.thinker.text;
  const std::vector<int32_t> ids = {3, 1, 4, 1, 5, 9, 2, 6};
  Positions positions;
  for (size_t i = 0; i < ids.size(); ++i) positions.push(static_cast<int64_t>(i));
  tensor::Tensor x({8, c.hidden_size}), out({8, c.vocab_size});
  model.thinker.embed(ids, x.rows());
  DecoderState state;
  model.thinker.forward({.embeds = x.rows(), .positions = &positions}, state);
  model.thinker.logits(x.rows(), out.rows());
  return {out.span().begin(), out.span().end()};
}

TEST_F(Quantize, AsItWasEveryByteComesBack) {
  for (const char* name : {"moe_bf16", "mixed_fused_f16", "full_rate"}) {
    const ModelSource source = open(fixture(name));
    ASSERT_TRUE(quantize_model(source, DType::q8_0, file("x.gguf"))) << "every matrix is small";
    const ModelSource back = open(file("x.gguf"));
    EXPECT_EQ(back.files.config, source.files.config);
    EXPECT_EQ(back.files.tokenizer, source.files.tokenizer);
    EXPECT_EQ(back.files.chat_template, source.files.chat_template);
    EXPECT_EQ(back.files.processors, source.files.processors);
    EXPECT_EQ(back.generation.eos_token_ids, source.generation.eos_token_ids);
    ASSERT_EQ(back.weights.names(), source.weights.names());
    for (const std::string& tensor : source.weights.names()) {
      const View a = source.weights.find(tensor), b = back.weights.find(tensor);
      if (stored_type(tensor, a, DType::q8_0) != a.dtype) continue;
      ASSERT_EQ(a.dtype, b.dtype) << tensor;
      ASSERT_EQ(a.shape, b.shape) << tensor << " " << b.shape.text();
      ASSERT_EQ(std::memcmp(a.data, b.data, a.bytes()), 0) << tensor;
    }
    const auto model = load_model(file("x.gguf"));
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_TRUE((*model)->speaks());
    EXPECT_EQ(logits_of(**model), logits_of(**load_model(fixture(name)))) << name;
  }
}

TEST_F(Quantize, WhatIsStoredHow) {
  const ModelSource source = open(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  const auto stored = [&](const char* name, DType type) {
    const View view = source.weights.find(name);
    EXPECT_TRUE(view) << name;
    return stored_type(name, view, type);
  };
  EXPECT_EQ(stored("thinker.model.layers.0.mlp.down_proj.weight", DType::q4_0), DType::q4_0);
  EXPECT_EQ(stored("talker.model.layers.0.mlp.experts.0.gate_proj.weight", DType::q8_0), DType::q8_0);
  EXPECT_EQ(stored("thinker.visual.blocks.0.attn.qkv.weight", DType::q4_0), DType::q4_0);
  EXPECT_EQ(stored("thinker.model.embed_tokens.weight", DType::q4_0), DType::q8_0);
  EXPECT_EQ(stored("thinker.lm_head.weight", DType::q4_0), DType::q8_0);
  for (const char* kept : {"talker.model.layers.0.mlp.gate.weight", "thinker.visual.pos_embed.weight", "thinker.model.norm.weight",
                           "thinker.visual.patch_embed.proj.weight", "code2wav.code_embedding.weight",
                           "code2wav.upsample.0.1.dwconv.conv.weight", "code2wav.decoder.6.conv.weight", "thinker.audio_tower.conv2d2.weight",
                           "thinker.audio_tower.layers.0.fc1.bias"}) {
    EXPECT_EQ(stored(kept, DType::q8_0), DType::f16) << kept;
    EXPECT_EQ(stored(kept, DType::f32), DType::f32) << kept;
  }
  for (const char* convolution : {"code2wav.decoder.0.conv.weight", "code2wav.decoder.1.block.1.conv.weight",
                                  "code2wav.decoder.2.block.3.conv2.conv.weight", "code2wav.upsample.1.0.conv.weight"}) {
    EXPECT_EQ(stored(convolution, DType::q8_0), DType::bf16) << convolution;
    EXPECT_EQ(stored(convolution, DType::q4_0), DType::bf16) << convolution;
    EXPECT_EQ(stored(convolution, DType::f16), DType::f16) << convolution;
  }
  const View odd{DType::f16, {6, 5, 7}, reinterpret_cast<const std::byte*>(&source)};
  EXPECT_EQ(stored_type("code2wav.decoder.0.conv.weight", odd, DType::q8_0), DType::f16) << "its inputs are no pairs";
}

// Streams at different places, with different numbers of new frames, none among them.
TEST_F(Quantize, VocodersInOnePassSpeakAsEachAlone) {
  ASSERT_TRUE(quantize_model(open(CALLIOPE_SOURCE_DIR "/models/calliope-nano"), DType::q4_0, file("x.gguf")));
  for (const std::string& path : {std::string(CALLIOPE_SOURCE_DIR "/models/calliope-nano"), file("x.gguf")}) {
    const auto model = load_model(path);
    ASSERT_TRUE(model) << model.error().message;
    const Code2Wav& vocoder = *(*model)->code2wav;
    const auto groups = static_cast<size_t>(vocoder.config().num_quantizers);
    std::vector<std::vector<int32_t>> codes(3);
    for (size_t b = 0; b < codes.size(); ++b) {
      for (size_t i = 0; i < 30 * groups; ++i) codes[b].push_back(static_cast<int32_t>((i * 7919 + b * 104729) % 509));
    }
    std::vector<Code2WavStream> streams;
    for (size_t b = 0; b < codes.size(); ++b) streams.emplace_back(vocoder);
    std::vector<std::vector<float>> spoken(codes.size());
    std::vector<size_t> at = {0, 0, 0};
    Code2WavScratch scratch;
    const size_t frames[][3] = {{1, 0, 0}, {1, 3, 0}, {0, 0, 4}, {2, 1, 1}, {1, 1, 1}, {4, 1, 0}, {3, 4, 2}, {1, 2, 4}};
    for (const auto& counts : frames) {
      std::vector<Code2WavStep> steps;
      for (size_t b = 0; b < codes.size(); ++b) {
        steps.push_back({&streams[b], std::span(codes[b]).subspan(at[b] * groups, counts[b] * groups), {}});
        at[b] += counts[b];
      }
      ASSERT_TRUE(Code2WavStream::step(steps, scratch));
      for (size_t b = 0; b < codes.size(); ++b) spoken[b].insert(spoken[b].end(), steps[b].samples.begin(), steps[b].samples.end());
    }
    for (size_t b = 0; b < codes.size(); ++b) {
      EXPECT_EQ(streams[b].frames(), static_cast<int64_t>(at[b]));
      EXPECT_EQ(spoken[b], *vocoder.decode(std::span(codes[b]).first(at[b] * groups))) << path << " stream " << b;
    }
    // What is wrong with one stops all, and changes none.
    const int32_t wrong = static_cast<int32_t>(vocoder.config().codebook_size);
    const std::vector<int32_t> bad(groups, wrong), good(groups, 1);
    std::vector<Code2WavStep> steps = {{&streams[0], good, {}}, {&streams[1], bad, {}}};
    EXPECT_FALSE(Code2WavStream::step(steps, scratch));
    EXPECT_EQ(streams[0].frames(), static_cast<int64_t>(at[0]));
  }
}

// The quantised vocoder against its own values in f32. Convolutions round their inputs to bf16, linear layers to 8 bits.
TEST_F(Quantize, TheVocoderSpeaksAsItsValuesInF32AndStreamedAsWhole) {
  ASSERT_TRUE(quantize_model(open(CALLIOPE_SOURCE_DIR "/models/calliope-nano"), DType::q8_0, file("q8_0.gguf")));
  ASSERT_TRUE(quantize_model(open(file("q8_0.gguf")), DType::f32, file("twin.gguf")));
  const auto model = load_model(file("q8_0.gguf")), twin = load_model(file("twin.gguf"));
  ASSERT_TRUE(model && twin);
  EXPECT_TRUE((*model)->weights.bf16_convolutions());
  EXPECT_FALSE((*twin)->weights.bf16_convolutions());
  const Code2WavConfig& c = (*model)->config.code2wav;
  std::vector<int32_t> codes;
  for (int64_t i = 0; i < 40 * c.num_quantizers; ++i) codes.push_back(static_cast<int32_t>(i * 7919 % 509 % c.codebook_size));
  const auto samples = *(*model)->code2wav->decode(codes), expected = *(*twin)->code2wav->decode(codes);
  ASSERT_EQ(samples.size(), expected.size());
  double noise = 0, sound = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    noise += double(samples[i] - expected[i]) * (samples[i] - expected[i]);
    sound += double(expected[i]) * expected[i];
  }
  ASSERT_GT(sound, 1.0);
  EXPECT_GT(noise, 0);
  // Linear layers before the convolutions lose 7e-3 / sqrt(2) each (1.4 times what their weights do, as scales are powers of
  // two); a convolution 2^-9 / sqrt(3).
  EXPECT_LT(std::sqrt(noise / sound), 0.03);
  RecordProperty("relative_error", std::to_string(std::sqrt(noise / sound)));
  for (const size_t step : {1, 2, 3}) {
    Code2WavStream stream(*(*model)->code2wav);
    std::vector<float> streamed;
    const size_t count = step * static_cast<size_t>(c.num_quantizers);
    for (size_t begin = 0; begin < codes.size(); begin += count) {
      const auto part = *stream.step(std::span(codes).subspan(begin, std::min(count, codes.size() - begin)));
      streamed.insert(streamed.end(), part.begin(), part.end());
    }
    EXPECT_EQ(streamed, samples) << step;
  }
}

TEST_F(Quantize, NanoLosesWhatTheTypesLose) {
  const ModelSource source = open(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  // A step is 2/255 or 2/15 of a block's largest value; the error of rounding is step / sqrt(12), and the largest of 32
  // normal values is 1.5 to 4 times their spread. Rows that are more even or more peaked than that are few.
  const std::map<DType, std::pair<double, double>> bounds = {{DType::q8_0, {0.002, 0.012}}, {DType::q4_0, {0.03, 0.16}}};
  for (const auto& [type, bound] : bounds) {
    const auto report = quantize_model(source, type, file("nano.gguf"));
    ASSERT_TRUE(report) << report.error().message;
    int converted = 0;
    for (const QuantizedTensor& tensor : report->tensors) {
      if (tensor.to != type || tensor.magnitude == 0) continue;
      ++converted;
      EXPECT_GT(tensor.error, bound.first) << tensor.name;
      EXPECT_LT(tensor.error, bound.second) << tensor.name;
    }
    EXPECT_GT(converted, 100);
    EXPECT_LT(fs::file_size(file("nano.gguf")), fs::file_size(CALLIOPE_SOURCE_DIR "/models/calliope-nano/model.safetensors"));
    const auto model = load_model(file("nano.gguf"));
    ASSERT_TRUE(model) << model.error().message;
    for (const float value : logits_of(**model)) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_F(Quantize, WhatIsReleasedIsReadAgain) {
  const ModelSource source = open(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  ASSERT_TRUE(quantize_model(source, DType::q8_0, file("x.gguf")));
  for (const Weights& weights : {source.weights, open(file("x.gguf")).weights}) {
    for (const std::string& name : weights.names()) {
      const View view = weights.find(name);
      const std::vector<std::byte> before(view.data, view.data + view.bytes());
      weights.release(view);
      ASSERT_EQ(std::memcmp(before.data(), view.data, view.bytes()), 0) << name;
    }
  }
  std::vector<float> values(1 << 16, 1.0f);  // no file: must not be touched
  const View view{DType::f32, {1 << 16}, reinterpret_cast<const std::byte*>(values.data())};
  Weights::of({{"w", view}}, {}, nullptr).release(view);
  EXPECT_EQ(values, std::vector<float>(1 << 16, 1.0f));
}

TEST_F(Quantize, TheFileDoesNotDependOnTheThreads) {
  const ModelSource source = open(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  set_thread_count(1);
  const auto one = quantize_model(source, DType::q4_0, file("one.gguf"));
  set_thread_count(3);
  const auto three = quantize_model(source, DType::q4_0, file("three.gguf"));
  ASSERT_TRUE(one && three);
  EXPECT_EQ(*read_file(file("one.gguf")), *read_file(file("three.gguf")));
  for (size_t i = 0; i < one->tensors.size(); ++i) EXPECT_EQ(one->tensors[i].error, three->tensors[i].error);
}

TEST_F(Quantize, ValuesThatDoNotFitAreNamed) {
  const ModelSource source = open(fixture("dense_tied"));
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), 1e9f}) {
    std::vector<float> values(64 * 128, 0.5f);
    values[77] = value;
    ModelSource damaged = source;
    damaged.weights = Weights::of({{"bad.weight", {DType::f32, {64, 128}, reinterpret_cast<const std::byte*>(values.data())}}}, {}, nullptr);
    const auto written = quantize_model(damaged, DType::f16, file("x.gguf"));
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr("tensor bad.weight has values that are not finite, or too large for F16"));
    EXPECT_FALSE(fs::exists(file("x.gguf")));
    EXPECT_EQ(bool(quantize_model(damaged, DType::bf16, file("x.gguf"))), std::isfinite(value));
  }
  EXPECT_EQ(quantize_model(source, DType::f16, "/no/such/folder/x.gguf").error().code, ErrorCode::io);
}

/// A file of ours with one thing changed.
class Changed : public Quantize {
 protected:
  std::string error(const tensor::GgufFields& extra, const std::string& without = "", std::vector<int64_t> shape = {2, 3}) const {
    tensor::GgufFields fields = {{"general.architecture", std::string(kGgufArchitecture)}, {kGgufVersion, uint32_t{1}}};
    for (const auto& [key, text, needed] : kGgufFileKeys) fields.emplace_back(key, std::string("{}"));
    std::erase_if(fields, [&](const auto& field) {
      return field.first == without || std::any_of(extra.begin(), extra.end(), [&](const auto& other) { return other.first == field.first; });
    });
    fields.insert(fields.end(), extra.begin(), extra.end());
    const tensor::Shape dims{std::span<const int64_t>(shape)};
    auto writer = tensor::GgufWriter::create(file("x.gguf"), fields, {{"w", DType::f32, dims}});
    EXPECT_TRUE(writer && writer->write(std::vector<std::byte>(size_t(dims.elements()) * 4)) && writer->finish());
    const auto source = open_model_source(file("x.gguf"));
    return source ? "it opens" : source.error().message;
  }
};

TEST_F(Changed, IsRefusedWithAReason) {
  EXPECT_THAT(error({}), HasSubstr("model_type"));  // of the empty config.json: all before was good
  EXPECT_THAT(error({{"general.architecture", std::string("llama")}}), HasSubstr("architecture \"llama\"; read are files that calliope quantize"));
  EXPECT_THAT(error({{"general.architecture", uint32_t{3}}}), HasSubstr("architecture \"\""));
  EXPECT_THAT(error({{kGgufVersion, uint32_t{2}}}), HasSubstr("another version of calliope quantize"));
  EXPECT_THAT(error({}, kGgufVersion), HasSubstr("another version of calliope quantize"));
  EXPECT_THAT(error({}, "calliope.config_json"), HasSubstr("no metadata string calliope.config_json"));
  EXPECT_THAT(error({{kGgufConvolutions, std::string("int8")}}), HasSubstr("calliope.convolutions is not \"bf16\""));
  EXPECT_THAT(error({{kGgufConvolutions, std::string("bf16")}}), HasSubstr("model_type"));
  EXPECT_THAT(error({{"calliope.tokenizer_json", uint32_t{1}}}), HasSubstr("no metadata string calliope.tokenizer_json"));
  EXPECT_THAT(error({{"split.count", uint32_t{3}}}), HasSubstr("one of several parts of a model; merge them first"));
  const auto shape = [&](std::vector<int64_t> dims) { return error({{"calliope.shape.w", std::move(dims)}}); };
  EXPECT_THAT(shape({1, 2, 1, 3, 1}), HasSubstr("model_type"));
  EXPECT_THAT(shape({1, 2, 1, 3, 2}), HasSubstr("calliope.shape.w is no shape of tensor w, which has [2, 3]"));
  EXPECT_THAT(shape({1, 1, 1, 1, 1, 1, 6}), HasSubstr("is no shape"));
  EXPECT_THAT(shape({-2, -3}), HasSubstr("is no shape"));
  EXPECT_THAT(shape({int64_t{1} << 62, 1 << 4, 6}), HasSubstr("is no shape"));
  EXPECT_THAT(error({{"calliope.shape.v", std::vector<int64_t>{6}}}), HasSubstr("calliope.shape.v is no shape of one of its tensors"));
  EXPECT_THAT(error({{"calliope.shape.w", std::string("6")}}), HasSubstr("is no shape of one of its tensors"));
}

TEST_F(Changed, FilesThatAreNoGgufAreNamed) {
  std::ofstream(file("y.gguf"), std::ios::binary) << "GGU";
  EXPECT_THAT(open_model_source(file("y.gguf")).error().message, HasSubstr("no GGUF file"));
  std::ofstream(file("z.gguf"), std::ios::binary) << "GGUF\3";
  EXPECT_THAT(open_model_source(file("z.gguf")).error().message, HasSubstr("ends inside the header"));
  EXPECT_EQ(open_model_source(file("none.gguf")).error().code, ErrorCode::not_found);
}

TEST(CheckMemory, SaysBothNumbers) {
  EXPECT_TRUE(check_memory("m", 1000, 1000));
  const auto refused = check_memory("m", size_t{17} << 30, size_t{8} << 30);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
  EXPECT_THAT(refused.error().message, HasSubstr("the weights of m take 17408 MiB, but this program may use 8192 MiB"));
  EXPECT_TRUE(check_free_memory("m", 1000, 1000));
  const auto no_room = check_free_memory("m", size_t{17} << 30, (size_t{8} << 30) - 1);
  ASSERT_FALSE(no_room);
  EXPECT_EQ(no_room.error().code, ErrorCode::too_large);
  EXPECT_THAT(no_room.error().message, HasSubstr("the weights of m take 17408 MiB of memory in the order they are read in, but only 8192 MiB are free"));
}

TEST(CheckMemory, TheMachineSaysWhatItHas) {
  EXPECT_GT(memory_limit(), size_t{64} << 20);
  EXPECT_GT(free_memory(), size_t{1} << 20);
  EXPECT_LT(free_memory(), memory_limit() + (size_t{1} << 46));  // no swap is that large: a limit that was not read is
}

TEST_F(Quantize, WhatIsPackedIsAboutTheFile) {
  ASSERT_TRUE(quantize_model(open(CALLIOPE_SOURCE_DIR "/models/calliope-nano"), DType::q8_0, file("x.gguf")));
  EXPECT_EQ(packed_bytes(open(CALLIOPE_SOURCE_DIR "/models/calliope-nano").weights), 0u);
  const ModelSource source = open(file("x.gguf"));
  EXPECT_GT(packed_bytes(source.weights), source.weights.bytes() / 2);
  EXPECT_LT(packed_bytes(source.weights), source.weights.bytes());
}

}  // namespace
}  // namespace calliope::model
