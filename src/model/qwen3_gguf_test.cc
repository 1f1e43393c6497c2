#include "model/qwen3_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/model.h"
#include "tensor/gguf_writer.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using tensor::DType;
using tensor::Shape;
using tensor::View;
using testing::HasSubstr;

/// The thinker of a fixture as llama.cpp's converter would write it.
struct Qwen3File {
  struct Tensor {
    std::string name;
    DType dtype;
    Shape shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, tensor::GgufField> fields;
  std::vector<Tensor> tensors;

  void add(const std::string& name, const View& view) {
    tensors.push_back({name, view.dtype, view.shape, {view.data, view.data + view.bytes()}});
  }
  Tensor& find(const std::string& name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
    EXPECT_NE(found, tensors.end()) << name;
    return *found;
  }

  Qwen3File(const Model& model, const std::string& tokenizer_json, const std::string& chat_template) {
    const DecoderConfig& c = model.config.thinker.text;
    const std::string arch = c.num_experts > 0 ? "qwen3moe" : "qwen3";
    const auto number = [&](const std::string& key, int64_t value) { fields[arch + key] = static_cast<uint32_t>(value); };
    fields["general.architecture"] = arch;
    number(".block_count", c.num_hidden_layers);
    number(".context_length", c.max_position_embeddings);
    number(".embedding_length", c.hidden_size);
    number(".feed_forward_length", c.intermediate_size);
    number(".attention.head_count", c.num_attention_heads);
    number(".attention.head_count_kv", c.num_key_value_heads);
    number(".attention.key_length", c.head_dim);
    number(".attention.value_length", c.head_dim);
    fields[arch + ".attention.layer_norm_rms_epsilon"] = c.rms_norm_eps;
    fields[arch + ".rope.freq_base"] = static_cast<float>(c.rope_theta);
    if (c.num_experts > 0) {
      number(".expert_count", c.num_experts);
      number(".expert_used_count", c.num_experts_per_tok);
      number(".expert_feed_forward_length", c.moe_intermediate_size);
    }
    add_tokenizer(tokenizer_json, c.vocab_size);
    fields["tokenizer.chat_template"] = chat_template;
    fields["tokenizer.ggml.eos_token_id"] = static_cast<uint32_t>(model.config.im_end_token_id);
    add_tensors(model);
  }

  void add_tokenizer(const std::string& text, int64_t vocabulary) {
    const json::object root = json::parse(text).as_object();
    std::vector<std::string> tokens(static_cast<size_t>(vocabulary)), merges;
    std::vector<int32_t> kinds(tokens.size(), 5);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = "[PAD" + std::to_string(i) + "]";
    for (const auto& [token, id] : root.at("model").at("vocab").as_object()) {
      tokens[id.to_number<size_t>()] = token;
      kinds[id.to_number<size_t>()] = 1;
    }
    for (const auto& added : root.at("added_tokens").as_array()) {
      const auto id = added.at("id").to_number<size_t>();
      tokens[id] = added.at("content").as_string();
      kinds[id] = added.at("special").as_bool() ? 3 : 4;
    }
    for (const auto& merge : root.at("model").at("merges").as_array()) {
      merges.push_back(std::string(merge.at(0).as_string()) + " " + std::string(merge.at(1).as_string()));
    }
    fields["tokenizer.ggml.model"] = std::string("gpt2");
    fields["tokenizer.ggml.pre"] = std::string("qwen2");
    fields["tokenizer.ggml.tokens"] = tokens;
    fields["tokenizer.ggml.token_type"] = kinds;
    fields["tokenizer.ggml.merges"] = merges;
  }

  void add_tensors(const Model& model) {
    const auto ours = [&](const std::string& name) { return model.weights.find("thinker." + name); };
    const DecoderConfig& c = model.config.thinker.text;
    add("token_embd.weight", ours("model.embed_tokens.weight"));
    add("output_norm.weight", ours("model.norm.weight"));
    if (ours("lm_head.weight")) add("output.weight", ours("lm_head.weight"));
    for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
      const std::string to = "blk." + std::to_string(layer) + ".", from = "model.layers." + std::to_string(layer) + ".";
      for (const auto& [theirs, name] : {std::pair{"attn_norm", "input_layernorm"},
                                         {"attn_q", "self_attn.q_proj"},
                                         {"attn_k", "self_attn.k_proj"},
                                         {"attn_v", "self_attn.v_proj"},
                                         {"attn_output", "self_attn.o_proj"},
                                         {"attn_q_norm", "self_attn.q_norm"},
                                         {"attn_k_norm", "self_attn.k_norm"},
                                         {"ffn_norm", "post_attention_layernorm"},
                                         {"ffn_gate_inp", "mlp.gate"},
                                         {"ffn_gate", "mlp.gate_proj"},
                                         {"ffn_up", "mlp.up_proj"},
                                         {"ffn_down", "mlp.down_proj"}}) {
        const View view = ours(from + name + ".weight");
        if (view) add(to + theirs + ".weight", view);
      }
      for (const auto& [theirs, name] : {std::pair{"ffn_gate_exps", "gate_proj"}, {"ffn_up_exps", "up_proj"}, {"ffn_down_exps", "down_proj"}}) {
        if (c.num_experts == 0) continue;
        Tensor all{to + theirs + ".weight", DType::f32, {}, {}};
        for (int64_t e = 0; e < c.num_experts; ++e) {
          const View view = ours(from + "mlp.experts." + std::to_string(e) + "." + name + ".weight");
          ASSERT_TRUE(view);
          all.dtype = view.dtype;
          all.shape = {c.num_experts, view.shape[0], view.shape[1]};
          all.bytes.insert(all.bytes.end(), view.data, view.data + view.bytes());
        }
        tensors.push_back(std::move(all));
      }
    }
  }

  Result<void> write(const std::string& path) const {
    std::vector<tensor::GgufTensor> infos;
    for (const Tensor& t : tensors) infos.push_back({t.name, t.dtype, t.shape});
    TRY(auto writer, tensor::GgufWriter::create(path, {fields.begin(), fields.end()}, infos));
    for (const Tensor& t : tensors) TRY_VOID(writer.write(t.bytes));
    return writer.finish();
  }
};

class Qwen3Gguf : public testing::Test {
 protected:
  ~Qwen3Gguf() override { fs::remove(path_); }
  void use(const std::string& name) {
    const std::string folder = CALLIOPE_SOURCE_DIR "/tests/fixtures/" + name;
    auto loaded = load_model(folder);
    ASSERT_TRUE(loaded) << loaded.error().message;
    original = *loaded;
    good.emplace(*original, *read_file(folder + "/tokenizer.json"), *read_file(folder + "/chat_template.jinja"));
  }
  Result<std::shared_ptr<const Model>> load(const Qwen3File& file) const {
    TRY_VOID(file.write(path_));
    return load_model(path_);
  }
  std::string error(const std::function<void(Qwen3File&)>& change) const {
    Qwen3File file = *good;
    change(file);
    const auto model = load(file);
    return model ? "it loads" : model.error().message;
  }

  std::shared_ptr<const Model> original;
  std::optional<Qwen3File> good;

 private:
  const std::string path_ = (fs::temp_directory_path() / ("calliope-qwen3-" + std::to_string(::getpid()) + ".gguf")).string();
};

std::vector<float> logits_of(const Model& model, const std::vector<int32_t>& ids) {
  const DecoderConfig& c = model.config.thinker.text;
  const auto count = static_cast<int64_t>(ids.size());
  Positions positions;
  for (int64_t i = 0; i < count; ++i) positions.push(i);
  tensor::Tensor x({count, c.hidden_size}), out({count, c.vocab_size});
  model.thinker.embed(ids, x.rows());
  DecoderState state;
  model.thinker.forward({.embeds = x.rows(), .positions = &positions}, state);
  model.thinker.logits(x.rows(), out.rows());
  return {out.span().begin(), out.span().end()};
}

TEST_F(Qwen3Gguf, IsTheThinkerItWasMadeFrom) {
  for (const char* name : {"dense_tied", "moe_bf16"}) {
    use(name);
    const auto loaded = load(*good);
    ASSERT_TRUE(loaded) << loaded.error().message;
    const Model& model = **loaded;
    EXPECT_TRUE(model.text_only);
    EXPECT_FALSE(model.speaks());
    const std::vector<int32_t> ids = {5, 200, 17, 40, 3, 3, 99};
    EXPECT_EQ(logits_of(model, ids), logits_of(*original, ids)) << name;
    EXPECT_EQ(model.generation.eos_token_ids.front(), original->config.im_end_token_id);
    EXPECT_EQ(model.config.im_start_token_id, original->config.im_start_token_id);
    for (const std::string text : {"What is the capital of France?", "<|im_start|>user\nhi<|im_end|>\n", "naïve 日本 \xff", "it's  12"}) {
      for (const bool special : {false, true}) {
        const auto mine = model.tokenizer.encode(text, special), theirs = original->tokenizer.encode(text, special);
        ASSERT_TRUE(mine && theirs);
        EXPECT_EQ(*mine, *theirs) << text;
        EXPECT_EQ(model.tokenizer.decode(*mine, true), original->tokenizer.decode(*theirs, true));
      }
    }
    EXPECT_TRUE(check_chat_tokens(model));
    EXPECT_TRUE(model.chat_template.render({{"user", {{"text", "hi"}}}}));
  }
}

TEST_F(Qwen3Gguf, MediaAreRefused) {
  use("dense_tied");
  const auto loaded = load(*good);
  ASSERT_TRUE(loaded);
  const tensor::Tensor some({4, 128});
  const auto heard = (*loaded)->audio_encoder.encode(some.rows());
  ASSERT_FALSE(heard);
  EXPECT_THAT(heard.error().message, HasSubstr("this model reads text only"));
  const auto seen = (*loaded)->vision_encoder.encode(some.rows(), {1, 2, 2});
  ASSERT_FALSE(seen);
  EXPECT_THAT(seen.error().message, HasSubstr("this model reads text only"));
}

TEST_F(Qwen3Gguf, WithoutATemplateItIsChatMl) {
  use("dense_tied");
  good->fields.erase("tokenizer.chat_template");
  const auto loaded = load(*good);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto text = (*loaded)->chat_template.render({{"user", {{"text", "hi"}}}});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(Qwen3Gguf, WhatIsWrongIsNamedAsTheFileCallsIt) {
  use("dense_tied");
  const auto set = [&](const char* key, tensor::GgufField value) {
    return error([&](Qwen3File& file) { file.fields[key] = std::move(value); });
  };
  EXPECT_EQ(error([](auto&) {}), "it loads");
  EXPECT_THAT(error([](auto& file) { file.fields.erase("qwen3.block_count"); }), HasSubstr("metadata qwen3.block_count must be a whole number"));
  EXPECT_THAT(set("qwen3.block_count", uint32_t{0}), HasSubstr("qwen3.block_count must be"));
  EXPECT_THAT(set("qwen3.block_count", uint32_t{4}), HasSubstr("no tensor blk.3.attn_norm.weight"));
  EXPECT_THAT(set("qwen3.block_count", uint32_t{2}), HasSubstr("layers.2."));
  EXPECT_THAT(set("qwen3.attention.head_count", std::string("4")), HasSubstr("qwen3.attention.head_count must be"));
  EXPECT_THAT(set("qwen3.attention.head_count_kv", uint32_t{3}), HasSubstr("a divisor of attention.head_count"));
  EXPECT_THAT(set("qwen3.attention.value_length", uint32_t{4}), HasSubstr("equal to attention.value_length"));
  EXPECT_THAT(set("qwen3.attention.key_length", uint32_t{16}), HasSubstr("qwen3.attention.key_length"));
  EXPECT_THAT(set("qwen3.rope.scaling.type", std::string("yarn")), HasSubstr("\"yarn\" is not computed"));
  EXPECT_THAT(set("qwen3.rope.freq_base", -1.0f), HasSubstr("qwen3.rope.freq_base must be a number"));
  EXPECT_THAT(set("tokenizer.ggml.model", std::string("llama")), HasSubstr("tokenizer.ggml.model must be gpt2"));
  EXPECT_THAT(set("tokenizer.ggml.pre", std::string("llama-bpe")), HasSubstr("not \"llama-bpe\""));
  EXPECT_THAT(set("tokenizer.ggml.tokens", uint32_t{1}), HasSubstr("tokenizer.ggml.tokens must be an array of strings"));
  EXPECT_THAT(set("tokenizer.ggml.tokens", std::vector<std::string>(330, "a")), HasSubstr("'a' is given twice"));
  EXPECT_THAT(set("tokenizer.ggml.token_type", std::vector<int32_t>{1}), HasSubstr("an entry for each of tokens"));
  EXPECT_THAT(set("tokenizer.ggml.merges", std::vector<std::string>{"nospace"}), HasSubstr("'nospace' is not two tokens"));
  EXPECT_THAT(error([](auto& file) {
                auto tokens = std::get<std::vector<std::string>>(file.fields["tokenizer.ggml.tokens"]);
                tokens.push_back("one more");
                file.fields["tokenizer.ggml.tokens"] = tokens;
                file.fields["tokenizer.ggml.token_type"] = std::vector<int32_t>(tokens.size(), 1);
              }),
              HasSubstr("331 ids, more than the model's vocab_size"));
  EXPECT_THAT(error([](auto& file) { file.find("blk.1.ffn_up.weight").shape = {32, 48}; }), HasSubstr("tensor blk.1.ffn_up.weight has shape [32, 48]"));
  EXPECT_THAT(error([](auto& file) { file.find("blk.1.ffn_up.weight").dtype = DType::i32; }), HasSubstr("blk.1.ffn_up.weight"));
  EXPECT_THAT(error([](auto& file) { file.find("blk.1.ffn_up.weight").name = "rope_freqs.weight"; }), HasSubstr("tensor rope_freqs.weight is no part of"));
  EXPECT_THAT(error([](auto& file) { file.find("token_embd.weight").name = "output.weight"; }), HasSubstr("there is no matrix token_embd.weight"));
  use("moe_bf16");
  EXPECT_THAT(error([](auto& file) { file.fields["qwen3moe.expert_count"] = uint32_t{3}; }), HasSubstr("exps.weight has shape"));
  EXPECT_THAT(error([](auto& file) { file.fields["qwen3moe.expert_used_count"] = uint32_t{99}; }), HasSubstr("qwen3moe.expert_used_count must be"));
}

}  // namespace
}  // namespace calliope::model
