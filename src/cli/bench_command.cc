#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "cli/bench_parts.h"
#include "cli/commands.h"
#include "model/model.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Speed {
  double prefill = 0, decode = 0;  // tokens a second, all sequences together
};

// Prefill and decode of `batch` sequences, with memory that is kept from run to run.
class TextRun {
 public:
  TextRun(const model::Model& model, const BenchOptions& options, int batch)
      : model_(model), config_(model.config.thinker.text), prompt_(options.prompt_tokens), batch_(batch),
        states_(static_cast<size_t>(batch)), x_({prompt_, config_.hidden_size}), hidden_({batch, config_.hidden_size}),
        logits_({batch, config_.vocab_size}) {
    const auto pages = std::make_shared<model::KvPages>(
        config_, model::KvPages::Options{.dtype = kv_type_by_name(options.kv_type).value_or(model.kv_type())});
    for (auto& state : states_) {
      state = model::DecoderState(pages);
      state.reserve(config_, options.prompt_tokens + options.gen_tokens);
      sequences_.push_back({&state, 1});
    }
  }

  /// The sequences are prefilled one after the other, then decoded together, a token of each a step: given tokens, as
  /// llama-bench has it, so that sampling is not in the figure.
  Speed run(int gen_tokens) {
    for (auto& state : states_) state.truncate(0);
    ids_.clear();
    positions_.clear();
    for (int64_t i = 0; i < prompt_; ++i) {
      positions_.push(i);
      ids_.push_back(static_cast<int32_t>((i * 7919 + 13) % config_.vocab_size));
    }
    const auto start = Clock::now();
    for (int b = 0; b < batch_; ++b) {
      const model::SequenceRows sequence{&states_[static_cast<size_t>(b)], prompt_, 1};
      model_.thinker.embed(ids_, x_.rows());
      model_.thinker.forward({.embeds = x_.rows(), .positions = &positions_}, {&sequence, 1}, scratch_);
      std::copy_n(x_.rows().row(prompt_ - 1), config_.hidden_size, hidden_.rows().row(b));
      model_.thinker.logits(hidden_.rows().slice(b, 1), logits_.rows().slice(b, 1));
    }
    const auto prefilled = Clock::now();
    ids_.resize(static_cast<size_t>(batch_));
    for (int i = 0; i < gen_tokens; ++i) {
      positions_.clear();
      for (int b = 0; b < batch_; ++b) {
        ids_[static_cast<size_t>(b)] = static_cast<int32_t>(((prompt_ + i) * 7919 + b) % config_.vocab_size);
        positions_.push(prompt_ + i);
      }
      model_.thinker.embed(ids_, hidden_.rows());
      model_.thinker.forward({.embeds = hidden_.rows(), .positions = &positions_}, sequences_, scratch_);
      model_.thinker.logits(hidden_.rows(), logits_.rows());
    }
    const auto decoded = Clock::now();
    return {rate(prompt_, prefilled - start), rate(gen_tokens, decoded - prefilled)};
  }

 private:
  double rate(int64_t tokens, Clock::duration time) const {
    return static_cast<double>(batch_ * tokens) / std::chrono::duration<double>(time).count();
  }

  const model::Model& model_;
  const model::DecoderConfig& config_;
  const int64_t prompt_;
  const int batch_;
  std::vector<model::DecoderState> states_;
  std::vector<model::SequenceRows> sequences_;
  model::DecoderScratch scratch_;
  tensor::Tensor x_, hidden_, logits_;
  model::Positions positions_;
  std::vector<int32_t> ids_;
};

template <class Member>
double median(const std::vector<Speed>& runs, Member member) {
  std::vector<double> values;
  for (const Speed& run : runs) values.push_back(run.*member);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// What one token reads of the thinker, its head included, and multiplies in the layers; of experts the share that is used.
struct PassSize {
  double weight_bytes = 0, multiply_adds = 0;
};

PassSize pass_size(const model::Model& model) {
  const model::DecoderConfig& c = model.config.thinker.text;
  const bool tied = !model.weights.find("thinker.lm_head.weight");
  PassSize size;
  for (const std::string& name : model.weights.names()) {
    const bool head = name == "thinker.lm_head.weight" || (tied && name == "thinker.model.embed_tokens.weight");
    if (!head && !name.starts_with("thinker.model.layers.")) continue;
    const tensor::View view = model.weights.find(name);
    const bool expert = name.find(".experts.") != std::string::npos;
    const double share = expert ? double(c.num_experts_per_tok) / double(c.num_experts) : 1.0;
    size.weight_bytes += share * double(view.bytes());
    if (!head && view.shape.rank() >= 2) size.multiply_adds += share * double(view.shape.elements());
  }
  return size;
}

Result<void> bench(const BenchOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  TRY(const auto model, model::load_model(options.model.empty() ? default_model() : options.model));
  if (options.speech) return bench_speech(*model, options);
  const int64_t context = model->config.thinker.text.max_position_embeddings;
  if (int64_t{options.prompt_tokens} + options.gen_tokens > context) {
    return fail(ErrorCode::too_large, "--prompt-tokens and --gen-tokens together are over the model's context of " + std::to_string(context) + " tokens");
  }
  if (!options.json) std::printf("%8s %8s %18s %18s %14s\n", "batch", "threads", "prefill tokens/s", "decode tokens/s", "peak memory");
  const PassSize size = pass_size(*model);
  for (const int batch : options.batch) {
    TextRun run(*model, options, batch);
    run.run(1);  // buffers grow and page tables fill
    std::vector<Speed> runs;
    for (int i = 0; i < options.repeat; ++i) runs.push_back(run.run(options.gen_tokens));
    const double prefill = median(runs, &Speed::prefill), decode = median(runs, &Speed::decode);
    const auto memory = static_cast<long long>(peak_memory_bytes());
    if (options.json) {
      std::printf("{\"batch\": %d, \"threads\": %d, \"prompt_tokens\": %d, \"gen_tokens\": %d, \"prefill_tokens_per_s\": %.2f, "
                  "\"decode_tokens_per_s\": %.2f, \"peak_memory_bytes\": %lld, \"weight_bytes\": %.0f, \"multiply_adds\": %.0f}\n",
                  batch, thread_count(), options.prompt_tokens, options.gen_tokens, prefill, decode, memory, size.weight_bytes, size.multiply_adds);
    } else {
      std::printf("%8d %8d %18.1f %18.1f %11.1f MB\n", batch, thread_count(), prefill, decode, double(memory) / 1e6);
    }
    std::fflush(stdout);
  }
  return {};
}

}  // namespace

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

int run_bench(const BenchOptions& options) {
  if (auto measured = bench(options); !measured) return complain("bench", measured.error());
  return 0;
}

}  // namespace calliope::cli
