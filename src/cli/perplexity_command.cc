#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "engine/prompt.h"
#include "model/model.h"

namespace calliope::cli {
namespace {

using ModelPtr = std::shared_ptr<const model::Model>;

struct Question {
  std::vector<int32_t> prompt, answer;
};

std::vector<std::pair<std::string, std::string>> split_lines(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size()), tab = text.find('\t', at);
    if (tab < end) pairs.emplace_back(text.substr(at, tab - at), text.substr(tab + 1, end - tab - 1));
    at = end + 1;
  }
  return pairs;
}

Result<std::vector<Question>> read_questions(const model::Model& model, const std::string& path) {
  TRY(const std::string text, model::read_file(path));
  std::vector<Question> questions;
  for (const auto& [asked, answer] : split_lines(text)) {
    assistant::Request request;
    request.turns.push_back({assistant::Role::user, {asked}});
    TRY(engine::Prompt prompt, engine::build_prompt(model, request));
    TRY(auto ids, model.tokenizer.encode(answer, false));
    ids.push_back(model.generation.eos_token_ids.front());
    questions.push_back({std::move(prompt.ids), std::move(ids)});
  }
  if (!questions.empty()) return questions;
  return fail(ErrorCode::invalid_argument, path + " has no line of a question, a tab and an answer");
}

model::DecoderState state_for(const model::Model& model, tensor::DType kv, size_t tokens) {
  const model::DecoderConfig& config = model.config.thinker.text;
  model::DecoderState state(std::make_shared<model::KvPages>(config, model::KvPages::Options{.dtype = kv}));
  state.reserve(config, static_cast<int64_t>(tokens));
  return state;
}

void run(const model::Model& model, std::span<const int32_t> ids, model::DecoderState& state, tensor::Tensor& x) {
  model::Positions positions;
  for (size_t i = 0; i < ids.size(); ++i) positions.push(state.length() + static_cast<int64_t>(i));
  x.resize({static_cast<int64_t>(ids.size()), model.config.thinker.text.hidden_size});
  model.thinker.embed(ids, x.rows());
  model.thinker.forward({.embeds = x.rows(), .positions = &positions}, state);
}

// Log-probabilities [answer tokens, V] of what comes at each place of the answer, given the question and what lies before.
tensor::Tensor log_probabilities(const model::Model& model, tensor::DType kv, const Question& question) {
  std::vector<int32_t> ids = question.prompt;
  ids.insert(ids.end(), question.answer.begin(), question.answer.end() - 1);
  model::DecoderState state = state_for(model, kv, ids.size());
  tensor::Tensor x;
  run(model, ids, state, x);
  const auto count = static_cast<int64_t>(question.answer.size());
  tensor::Tensor out({count, model.config.thinker.text.vocab_size});
  model.thinker.logits(x.rows().slice(x.shape()[0] - count, count), out.rows());
  for (int64_t t = 0; t < count; ++t) {
    const std::span row(out.rows().row(t), static_cast<size_t>(out.shape()[1]));
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float value : row) sum += std::exp(value - most);
    for (float& value : row) value = static_cast<float>(value - most - std::log(sum));
  }
  return out;
}

std::vector<int32_t> greedy(const model::Model& model, tensor::DType kv, const std::vector<int32_t>& prompt, int most) {
  const auto& ends = model.generation.eos_token_ids;
  model::DecoderState state = state_for(model, kv, prompt.size() + static_cast<size_t>(most));
  tensor::Tensor x, logits({1, model.config.thinker.text.vocab_size});
  std::vector<int32_t> answer;
  for (std::vector<int32_t> ids = prompt; static_cast<int>(answer.size()) < most; ids = {answer.back()}) {
    run(model, ids, state, x);
    model.thinker.logits(x.rows().slice(x.shape()[0] - 1, 1), logits.rows());
    const auto values = logits.span();
    answer.push_back(static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin()));
    if (std::find(ends.begin(), ends.end(), answer.back()) != ends.end()) break;
  }
  return answer;
}

struct Score {
  double loss = 0, reference_loss = 0;  // sums of -log p over all tokens
  double divergence = 0;                // sum of KL(reference || model)
  int64_t tokens = 0, same_token = 0, same_answer = 0;
};

void add(const Question& question, const tensor::Tensor& mine, const tensor::Tensor& reference, Score& score) {
  const auto width = static_cast<size_t>(mine.shape()[1]);
  for (size_t t = 0; t < question.answer.size(); ++t) {
    const float* p = mine.rows().row(static_cast<int64_t>(t));
    const auto target = static_cast<size_t>(question.answer[t]);
    ++score.tokens;
    score.loss -= p[target];
    if (reference.empty()) continue;
    const float* q = reference.rows().row(static_cast<int64_t>(t));
    score.reference_loss -= q[target];
    score.same_token += std::max_element(p, p + width) - p == std::max_element(q, q + width) - q;
    for (size_t i = 0; i < width; ++i) score.divergence += std::exp(double(q[i])) * (double(q[i]) - p[i]);
  }
}

Result<void> perplexity(const PerplexityOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  TRY(const ModelPtr model, model::load_model(options.model.empty() ? default_model() : options.model));
  ModelPtr reference;
  if (!options.reference.empty()) {
    TRY(reference, model::load_model(options.reference));
    if (reference->config.thinker.text.vocab_size != model->config.thinker.text.vocab_size) {
      return fail(ErrorCode::invalid_argument, "the two models have vocabularies of different sizes");
    }
  }
  TRY(const auto questions, read_questions(*model, options.text));
  const tensor::DType kv = kv_type_by_name(options.kv_type).value_or(model->kv_type());
  Score score;
  for (const Question& question : questions) {
    const tensor::Tensor mine = log_probabilities(*model, kv, question);
    add(question, mine, reference ? log_probabilities(*reference, tensor::DType::f32, question) : tensor::Tensor(), score);
    if (!reference) continue;
    score.same_answer += greedy(*model, kv, question.prompt, options.max_tokens) ==
                         greedy(*reference, tensor::DType::f32, question.prompt, options.max_tokens);
  }
  const auto tokens = static_cast<double>(score.tokens);
  std::printf("%zu questions, %ld answer tokens\n", questions.size(), long(score.tokens));
  std::printf("perplexity             %.5f\n", std::exp(score.loss / tokens));
  if (!reference) return {};
  std::printf("of the reference       %.5f\n", std::exp(score.reference_loss / tokens));
  std::printf("divergence a token     %.3e nats\n", score.divergence / tokens);
  std::printf("same likeliest token   %.3f %%\n", 100.0 * double(score.same_token) / tokens);
  std::printf("same greedy answer     %ld of %zu\n", long(score.same_answer), questions.size());
  return {};
}

}  // namespace

int run_perplexity(const PerplexityOptions& options) {
  if (auto done = perplexity(options); !done) return complain("perplexity", done.error());
  return 0;
}

}  // namespace calliope::cli
