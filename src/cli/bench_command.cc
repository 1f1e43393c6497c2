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

// One run: `batch` sequences are prefilled one after the other, then decoded greedily together, a token of each a step.
Speed run_once(const model::Model& model, const BenchOptions& options, int batch) {
  const model::DecoderConfig& c = model.config.thinker.text;
  const int64_t prompt = options.prompt_tokens;
  std::vector<model::DecoderState> states(static_cast<size_t>(batch));
  std::vector<model::SequenceRows> sequences;
  model::DecoderScratch scratch;
  tensor::Tensor x({prompt, c.hidden_size}), hidden({batch, c.hidden_size}), logits({batch, c.vocab_size});
  model::Positions positions;
  std::vector<int32_t> ids;
  for (int i = 0; i < options.prompt_tokens; ++i) {
    positions.push(i);
    ids.push_back(static_cast<int32_t>((i * 7919 + 13) % c.vocab_size));
  }
  for (auto& state : states) {
    state.reserve(c, options.prompt_tokens + options.gen_tokens);
    sequences.push_back({&state, 1});
  }

  const auto start = Clock::now();
  for (int b = 0; b < batch; ++b) {
    const model::SequenceRows sequence{&states[static_cast<size_t>(b)], prompt};
    model.thinker.embed(ids, x.rows());
    model.thinker.forward({.embeds = x.rows(), .positions = &positions}, {&sequence, 1}, scratch);
    std::copy_n(x.rows().row(prompt - 1), c.hidden_size, hidden.rows().row(b));
  }
  const auto prefilled = Clock::now();
  ids.resize(static_cast<size_t>(batch));
  for (int i = 0; i < options.gen_tokens; ++i) {
    positions.clear();
    model.thinker.logits(hidden.rows(), logits.rows());
    for (int b = 0; b < batch; ++b) {
      const float* row = logits.rows().row(b);
      ids[static_cast<size_t>(b)] = static_cast<int32_t>(std::max_element(row, row + c.vocab_size) - row);
      positions.push(prompt + i);
    }
    model.thinker.embed(ids, hidden.rows());
    model.thinker.forward({.embeds = hidden.rows(), .positions = &positions}, sequences, scratch);
  }
  const auto decoded = Clock::now();
  const auto per_second = [batch](int tokens, Clock::duration time) { return batch * tokens / std::chrono::duration<double>(time).count(); };
  return {per_second(options.prompt_tokens, prefilled - start), per_second(options.gen_tokens, decoded - prefilled)};
}

template <class Member>
double median(const std::vector<Speed>& runs, Member member) {
  std::vector<double> values;
  for (const Speed& run : runs) values.push_back(run.*member);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
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
  for (const int batch : options.batch) {
    std::vector<Speed> runs;
    for (int i = 0; i < options.repeat; ++i) runs.push_back(run_once(*model, options, batch));
    const double prefill = median(runs, &Speed::prefill), decode = median(runs, &Speed::decode);
    const auto memory = static_cast<long long>(peak_memory_bytes());
    if (options.json) {
      std::printf("{\"batch\": %d, \"threads\": %d, \"prompt_tokens\": %d, \"gen_tokens\": %d, \"prefill_tokens_per_s\": %.2f, "
                  "\"decode_tokens_per_s\": %.2f, \"peak_memory_bytes\": %lld}\n",
                  batch, thread_count(), options.prompt_tokens, options.gen_tokens, prefill, decode, memory);
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
