#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/human_bytes.h"
#include "kernels/isa.h"
#include "model/model.h"

namespace calliope::cli {
namespace {

struct Part {
  int64_t tensors = 0, parameters = 0;
  size_t bytes = 0;
};

std::string part_of(const std::string& tensor) {
  for (const auto& [prefix, name] : {std::pair{"thinker.audio_tower.", "audio encoder"}, {"thinker.visual.", "vision encoder"},
                                     {"thinker.", "thinker"}, {"talker.code_predictor.", "code predictor"}, {"talker.", "talker"},
                                     {"code2wav.", "code2wav"}}) {
    if (tensor.starts_with(prefix)) return name;
  }
  return "other";
}

void print_decoder(const char* name, const model::DecoderConfig& c) {
  std::printf("  %-15s %ld layers, hidden %ld, %ld/%ld heads of %ld, vocabulary %ld", name, long(c.num_hidden_layers), long(c.hidden_size),
              long(c.num_attention_heads), long(c.num_key_value_heads), long(c.head_dim), long(c.vocab_size));
  if (c.num_experts > 0) {
    std::printf(", %ld experts top-%ld of %ld", long(c.num_experts), long(c.num_experts_per_tok), long(c.moe_intermediate_size));
    if (c.shared_expert_intermediate_size > 0) std::printf(" and a shared one of %ld", long(c.shared_expert_intermediate_size));
  } else {
    std::printf(", MLP %ld", long(c.intermediate_size));
  }
  std::putchar('\n');
}

Result<void> info(const InfoOptions& options) {
  const std::string folder = options.model.empty() ? default_model() : options.model;
  TRY(const auto model, model::load_model(folder));
  const model::Config& c = model->config;
  std::map<std::string, Part> parts;
  std::map<std::string, int64_t> types;
  Part all;
  const size_t packed = model::packed_bytes(model->weights);
  for (const std::string& name : model->weights.names()) {
    const tensor::View view = model->weights.find(name);
    for (Part* part : {&parts[part_of(name)], &all}) {
      ++part->tensors;
      part->parameters += view.shape.elements();
      part->bytes += view.bytes();
    }
    types[std::string(tensor::name_of(view.dtype))] += view.shape.elements();
  }
  std::printf("%s\n\nparts\n", folder.c_str());
  if (model->text_only) {
    std::printf("  a text model: it takes no pictures and sounds\n");
  } else {
    std::printf("  %-15s %ld layers, width %ld, %ld mel bands\n", "audio encoder", long(c.thinker.audio.encoder_layers), long(c.thinker.audio.d_model),
                long(c.thinker.audio.num_mel_bins));
    std::printf("  %-15s %ld layers, width %ld, patch %ld, DeepStack after %zu layers\n", "vision encoder", long(c.thinker.vision.depth),
                long(c.thinker.vision.hidden_size), long(c.thinker.vision.patch_size), c.thinker.vision.deepstack_visual_indexes.size());
  }
  print_decoder("thinker", c.thinker.text);
  if (model->speaks()) {
    print_decoder("talker", c.talker.text);
    print_decoder("code predictor", c.talker.code_predictor.decoder);
    std::printf("  %-15s %ld code groups of %ld, %ld layers, width %ld, 24 kHz\n", "code2wav", long(c.code2wav.num_quantizers),
                long(c.code2wav.codebook_size), long(c.code2wav.num_hidden_layers), long(c.code2wav.hidden_size));
    std::printf("  voices          ");
    for (const auto& [name, id] : c.talker.speaker_id) std::printf("%s ", name.c_str());
    std::putchar('\n');
  } else {
    std::printf("  no talker: this checkpoint answers in text only\n");
  }
  std::printf("\nweights\n  %-15s %8s %12s %9s\n", "part", "tensors", "parameters", "bytes");
  const auto row = [](const char* name, const Part& part) {
    std::printf("  %-15s %8ld %12ld %9s\n", name, long(part.tensors), long(part.parameters), human_bytes(double(part.bytes)).c_str());
  };
  for (const auto& [name, part] : parts) row(name.c_str(), part);
  row("all", all);
  std::printf("  types          ");
  for (const auto& [type, count] : types) std::printf(" %s %.1f %%", type.c_str(), 100.0 * double(count) / double(all.parameters));
  const int64_t context = c.thinker.text.max_position_embeddings;
  std::printf("\n\nmemory\n  weights         %s, mapped from the file\n", human_bytes(double(all.bytes)).c_str());
  if (packed > 0) {
    std::printf("  packed          %s, quantised layers copied into the order they are read in; their part of the file leaves memory\n",
                human_bytes(double(packed)).c_str());
  }
  for (const std::string_view type : {"f32", "bf16", "q8"}) {
    const auto token_bytes = [&](const model::DecoderConfig& config) { return model::KvPages::token_bytes(config, *kv_type_by_name(type)); };
    const double thinker = token_bytes(c.thinker.text), talker = model->speaks() ? token_bytes(c.talker.text) : 0;
    std::printf("  KV cache %-4s   %s a token", std::string(type).c_str(), human_bytes(thinker).c_str());
    if (model->speaks()) std::printf(" and %s a frame of speech", human_bytes(talker).c_str());
    std::printf(", %s for the whole context of %ld tokens\n", human_bytes(thinker * double(context)).c_str(), long(context));
  }
  std::printf("\nprocessor\n  instructions    %s\n  threads         %d\n", std::string(kernels::name_of(kernels::active_isa())).c_str(), thread_count());
  return {};
}

}  // namespace

int run_info(const InfoOptions& options) {
  if (auto shown = info(options); !shown) return complain("info", shown.error());
  return 0;
}

}  // namespace calliope::cli
