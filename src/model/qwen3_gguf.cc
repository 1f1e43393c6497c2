#include "model/qwen3_gguf.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "model/tokenizer_lists.h"
#include "tensor/gguf.h"

namespace calliope::model {
namespace {

using tensor::GgufFile;
using tensor::View;

constexpr std::pair<const char*, const char*> kModelNames[] = {
    {"token_embd.weight", "thinker.model.embed_tokens.weight"},
    {"output_norm.weight", "thinker.model.norm.weight"},
    {"output.weight", "thinker.lm_head.weight"},
};
// After "blk.N." in the file and after "thinker.model.layers.N." here.
constexpr std::pair<const char*, const char*> kLayerNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
};
// One tensor [experts, out, in] in the file, one a expert here: "mlp.experts.E." and this.
constexpr std::pair<const char*, const char*> kExpertNames[] = {
    {"ffn_gate_exps.weight", "gate_proj.weight"},
    {"ffn_up_exps.weight", "up_proj.weight"},
    {"ffn_down_exps.weight", "down_proj.weight"},
};
constexpr std::string_view kLayerInFile = "blk.", kLayerHere = "thinker.model.layers.", kExperts = "mlp.experts.";

// ChatML, for files that have no template of their own, as llama.cpp does.
constexpr char kChatMl[] =
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// "12.rest" -> "12", "rest".
std::optional<std::pair<std::string, std::string>> split_number(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == 0 || dot > 6 || dot == std::string_view::npos) return std::nullopt;
  const auto digits = text.substr(0, dot);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return std::pair{std::string(digits), std::string(text.substr(dot + 1))};
}

// What the file calls our tensor, for messages.
std::string name_in_file(std::string_view name) {
  for (const auto& [theirs, ours] : kModelNames) {
    if (name == ours) return theirs;
  }
  const auto layer = name.starts_with(kLayerHere) ? split_number(name.substr(kLayerHere.size())) : std::nullopt;
  if (!layer) return std::string(name);
  const std::string prefix = std::string(kLayerInFile) + layer->first + ".";
  for (const auto& [theirs, ours] : kLayerNames) {
    if (layer->second == ours) return prefix + theirs;
  }
  const std::string_view rest = layer->second;
  const auto expert = rest.starts_with(kExperts) ? split_number(rest.substr(kExperts.size())) : std::nullopt;
  for (const auto& [theirs, ours] : kExpertNames) {
    if (expert && expert->second == ours) return prefix + theirs;
  }
  return std::string(name);
}

// Metadata of one architecture; the first mistake is kept.
class Fields {
 public:
  Fields(const GgufFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  /// Without `otherwise` the value must be there.
  int64_t integer(const std::string& name, int64_t lowest, int64_t highest, std::optional<int64_t> otherwise = std::nullopt) {
    const auto* value = file_.find(prefix_ + name);
    if (!value && otherwise) return *otherwise;
    const auto number = value ? value->integer() : std::nullopt;
    if (number && *number >= lowest && *number <= highest) return *number;
    wrong(name, "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
    return lowest;
  }
  double number(const std::string& name, double lowest, double highest, double otherwise) {
    const auto* value = file_.find(prefix_ + name);
    if (!value) return otherwise;
    const auto number = value->number();
    if (number && *number >= lowest && *number <= highest) return *number;
    wrong(name, "a number from " + std::to_string(lowest) + " to " + std::to_string(highest));
    return otherwise;
  }
  std::string text(const std::string& name) const {
    const auto* value = file_.find(prefix_ + name);
    return std::string(value ? value->text().value_or("") : "");
  }
  void wrong(const std::string& name, const std::string& what) {
    if (!error_) error_ = Error{ErrorCode::invalid_argument, "metadata " + prefix_ + name + " must be " + what, prefix_ + name};
  }
  void require(bool holds, const std::string& name, const std::string& what) {
    if (!holds) wrong(name, what);
  }
  Result<void> done() const {
    if (error_) return std::unexpected(*error_);
    return {};
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
  std::optional<Error> error_;
};

Result<DecoderConfig> decoder_config(const GgufFile& file, const std::string& architecture) {
  constexpr int64_t kMaxWidth = 1 << 17;
  Fields fields(file, architecture + ".");
  DecoderConfig c;
  c.num_hidden_layers = fields.integer("block_count", 1, 1024);
  c.hidden_size = fields.integer("embedding_length", 2, kMaxWidth);
  c.num_attention_heads = fields.integer("attention.head_count", 1, 4096);
  c.num_key_value_heads = fields.integer("attention.head_count_kv", 1, 4096, c.num_attention_heads);
  c.head_dim = fields.integer("attention.key_length", 2, 4096, std::max<int64_t>(2, c.hidden_size / c.num_attention_heads));
  const int64_t value_length = fields.integer("attention.value_length", 2, 4096, c.head_dim);
  c.max_position_embeddings = fields.integer("context_length", 1, int64_t{1} << 31, 32768);
  c.rms_norm_eps = static_cast<float>(fields.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-6));
  c.rope_theta = fields.number("rope.freq_base", 1, 1e12, 10000);
  fields.require(c.num_attention_heads % c.num_key_value_heads == 0, "attention.head_count_kv", "a divisor of attention.head_count");
  fields.require(c.head_dim % 2 == 0 && value_length == c.head_dim, "attention.key_length", "even and equal to attention.value_length");
  const std::string scaling = fields.text("rope.scaling.type");
  fields.require(scaling.empty() || scaling == "none", "rope.scaling.type", "none; \"" + scaling + "\" is not computed");
  fields.require(fields.integer("rope.dimension_count", 1, 4096, c.head_dim) == c.head_dim, "rope.dimension_count",
                 "attention.key_length");
  if (architecture == "qwen3moe") {
    c.num_experts = fields.integer("expert_count", 1, 4096);
    c.num_experts_per_tok = fields.integer("expert_used_count", 1, c.num_experts);
    c.moe_intermediate_size = fields.integer("expert_feed_forward_length", 1, kMaxWidth * 8);
  } else {
    c.intermediate_size = fields.integer("feed_forward_length", 1, kMaxWidth * 8);
  }
  TRY_VOID(fields.done());
  return c;
}

// The file's tensors under the names the thinker takes them by.
class Renamer {
 public:
  explicit Renamer(int64_t experts) : experts_(experts) {}

  Result<void> add(const std::string& name, const View& view) {
    for (const auto& [theirs, ours] : kModelNames) {
      if (name == theirs) return put(ours, view);
    }
    const auto layer = name.starts_with(kLayerInFile) ? split_number(std::string_view(name).substr(kLayerInFile.size())) : std::nullopt;
    if (!layer) return unknown(name);
    const std::string prefix = std::string(kLayerHere) + layer->first + ".";
    for (const auto& [theirs, ours] : kLayerNames) {
      if (layer->second == theirs) return put(prefix + ours, view);
    }
    for (const auto& [theirs, ours] : kExpertNames) {
      if (layer->second != theirs) continue;
      if (view.shape.rank() != 3 || view.shape[0] != experts_) {
        return fail(ErrorCode::invalid_argument, "tensor " + name + " has shape " + view.shape.text() + ", but the metadata asks for [" +
                                                     std::to_string(experts_) + ", ...]", name);
      }
      for (int64_t e = 0; e < experts_; ++e) {
        TRY_VOID(put(prefix + std::string(kExperts) + std::to_string(e) + "." + ours, view.row(e)));
      }
      return {};
    }
    return unknown(name);
  }

  std::map<std::string, View, std::less<>> tensors;

 private:
  Result<void> put(const std::string& name, const View& view) {
    if (tensors.emplace(name, view).second) return {};
    return fail(ErrorCode::invalid_argument, "tensor " + name_in_file(name) + " is given twice", name);
  }
  static Result<void> unknown(const std::string& name) {
    return fail(ErrorCode::unsupported, "tensor " + name + " is no part of a Qwen3 model that this program knows", name);
  }

  int64_t experts_;
};

Result<Tokenizer> tokenizer_of(const GgufFile& file) {
  Fields fields(file, "tokenizer.ggml.");
  TokenizerLists lists;
  const auto texts = [&](const char* name, std::vector<std::string_view>& out) {
    const auto* value = file.find(std::string("tokenizer.ggml.") + name);
    auto found = value ? value->texts() : std::nullopt;
    fields.require(found.has_value(), name, "an array of strings");
    if (found) out = *std::move(found);
  };
  texts("tokens", lists.tokens);
  texts("merges", lists.merges);
  const auto* kinds = file.find("tokenizer.ggml.token_type");
  auto numbers = kinds ? kinds->integers() : std::nullopt;
  fields.require(numbers.has_value(), "token_type", "an array of whole numbers");
  if (numbers) lists.kinds = *std::move(numbers);
  fields.require(fields.text("model") == "gpt2", "model", "gpt2: only byte-level BPE is read");
  fields.require(fields.text("pre") == "qwen2", "pre", "qwen2, not \"" + fields.text("pre") + "\"");
  TRY_VOID(fields.done());
  return tokenizer_from_lists(lists);
}

std::vector<int32_t> ends_of_answer(const GgufFile& file, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  const auto add = [&](int64_t id) {
    if (id < 0 || id >= tokenizer.vocabulary_size() || std::count(ids.begin(), ids.end(), id) > 0) return;
    ids.push_back(static_cast<int32_t>(id));
  };
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const auto* value = file.find(key)) add(value->integer().value_or(-1));
  }
  for (const char* name : {"<|im_end|>", "<|endoftext|>"}) add(tokenizer.id_of(name).value_or(-1));
  return ids;
}

}  // namespace

Result<ModelSource> qwen3_source(const std::shared_ptr<const GgufFile>& file, const std::string& path) {
  const auto in_file = [&](Error error) {
    error.message = path + ": " + error.message;
    return std::unexpected(std::move(error));
  };
  const std::string architecture(file->find("general.architecture")->text().value_or(""));
  auto text = decoder_config(*file, architecture);
  if (!text) return in_file(std::move(text).error());
  auto tokenizer = tokenizer_of(*file);
  if (!tokenizer) return in_file(std::move(tokenizer).error());
  Renamer renamer(text->num_experts);
  for (const auto& [name, view] : file->tensors()) {
    if (auto added = renamer.add(name, view); !added) return in_file(std::move(added).error());
  }
  // A tensor of a type that is not read could only be missed later, under a name the file does not use.
  if (!file->left_out().empty()) {
    const auto& [name, type] = *file->left_out().begin();
    return in_file({ErrorCode::unsupported,
                    "tensor " + name + " is " + type + "; F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K are read: quantise the model to one of them", name});
  }
  const auto embeddings = file->tensors().find("token_embd.weight");
  if (embeddings == file->tensors().end() || embeddings->second.shape.rank() != 2) {
    return in_file({ErrorCode::invalid_argument, "there is no matrix token_embd.weight"});
  }

  ModelSource source;
  source.text_only = true;
  source.config.enable_audio_output = false;
  ThinkerConfig& thinker = source.config.thinker;
  thinker.text = *text;
  thinker.text.vocab_size = embeddings->second.shape[0];
  thinker.tie_word_embeddings = true;  // unless there is a head
  for (int32_t* id : {&thinker.audio_token_id, &thinker.image_token_id, &thinker.video_token_id, &thinker.audio_start_token_id,
                      &thinker.vision_start_token_id}) {
    *id = -1;
  }
  source.config.im_start_token_id = tokenizer->id_of("<|im_start|>").value_or(-1);
  source.config.im_end_token_id = tokenizer->id_of("<|im_end|>").value_or(-1);
  source.generation.eos_token_ids = ends_of_answer(*file, *tokenizer);
  source.tokenizer = *std::move(tokenizer);
  const auto* chat_template = file->find("tokenizer.chat_template");
  source.files.chat_template = chat_template ? chat_template->text().value_or(kChatMl) : kChatMl;
  source.weights = Weights::of(std::move(renamer.tensors), {}, file, {name_in_file, path + "'s metadata"}, {file->mapping()});
  return source;
}

}  // namespace calliope::model
