#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "assistant/event.h"
#include "base/thread_pool.h"
#include "cli/bench_parts.h"
#include "engine/sampler.h"
#include "model/model.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;
using tensor::Tensor;

constexpr double kSampleRate = assistant::kSpeechSampleRate;
constexpr int kWarmFrames = 8;  // before which the vocoder takes frames one by one, as engine::Speech has it

double ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

// Milliseconds: from the first text token to the first samples, then of a frame of all sessions together.
struct SpeechSpeed {
  double first_frame = 0, talker = 0, predictor = 0, vocoder = 0, frame = 0;
};

// One answer being spoken, with the parts that engine::Speech has.
struct Voice {
  model::TalkerState state;
  model::Code2WavStream vocoder;
  engine::Sampler code, residual;
  std::vector<int32_t> frame, waiting;
};

class SpeechRun {
 public:
  SpeechRun(const model::Model& model, int prompt_tokens, int sessions);
  /// Speaks `frames` frames with every session.
  Result<SpeechSpeed> speak(int frames);

 private:
  void project_texts();
  void begin();
  void step();
  Result<void> vocode(bool all);

  const model::Model& model_;
  const model::Talker& talker_;
  std::deque<Voice> voices_;
  std::vector<model::Picker> pickers_;
  std::vector<model::TalkerStep> steps_;
  model::TalkerScratch scratch_;
  std::vector<model::Code2WavStep> vocoding_;
  model::Code2WavScratch vocoder_;
  Tensor embeds_, texts_, start_, rows_;
  std::vector<int32_t> ids_;
  int prompt_, frames_ = 0, token_ = 0;
  Clock::time_point predictor_begins_, predictor_ended_;
};

SpeechRun::SpeechRun(const model::Model& model, int prompt_tokens, int sessions)
    : model_(model), talker_(*model.talker), prompt_(prompt_tokens) {
  const model::TalkerConfig& c = talker_.config();
  const auto options = [](const model::DrawDefaults& draw) {
    return engine::SamplerOptions{.temperature = 0.9f, .top_k = 50, .top_p = 1.0f, .repetition_penalty = draw.repetition_penalty};
  };
  for (int b = 0; b < sessions; ++b) {
    const auto seed = static_cast<uint64_t>(b);
    voices_.push_back({{}, model::Code2WavStream(*model.code2wav), engine::Sampler(options(model.generation.talker), seed),
                       engine::Sampler(options(model.generation.code_predictor), seed + 1000),
                       std::vector<int32_t>(static_cast<size_t>(c.num_code_groups)), {}});
    voices_.back().code.suppress(talker_.suppress_begin(), talker_.suppress_end(), -1);  // codec_eos too: nobody ends early
  }
  // Code 0 is drawn before the predictor begins, the last residual code when it ends.
  for (Voice& voice : voices_) {
    pickers_.push_back([&](std::span<float> logits) {
      const int code = voice.code.pick(logits);
      predictor_begins_ = Clock::now();
      return code;
    });
    pickers_.push_back([&](std::span<float> logits) {
      const int code = voice.residual.pick(logits);
      predictor_ended_ = Clock::now();
      return code;
    });
  }
}

// The next text token of every session as a row of texts_.
void SpeechRun::project_texts() {
  ids_.clear();
  for (size_t b = 0; b < voices_.size(); ++b) {
    ids_.push_back(static_cast<int32_t>((token_++ * 7919 + 13) % model_.config.thinker.text.vocab_size));
  }
  embeds_.resize({static_cast<int64_t>(ids_.size()), model_.config.thinker.text.hidden_size});
  texts_.resize({embeds_.shape()[0], talker_.config().text.hidden_size});
  model_.thinker.embed(ids_, embeds_.rows());
  talker_.project_text(embeds_.rows(), texts_.rows());
}

// The rows that open every answer, of which the last holds the first text token.
void SpeechRun::begin() {
  constexpr int64_t kRows = model::Talker::kAssistantRows;
  project_texts();
  model::Positions positions;
  for (int64_t i = 0; i < kRows; ++i) positions.push(prompt_ + i);
  rows_.resize({kRows, talker_.config().text.hidden_size});
  for (size_t b = 0; b < voices_.size(); ++b) {
    talker_.assistant_rows(start_.rows(), texts_.rows().slice(static_cast<int64_t>(b), 1), talker_.speaker(""), rows_.rows());
    talker_.prefill(rows_.rows(), positions, voices_[b].state, scratch_.decoder);
  }
}

void SpeechRun::step() {
  project_texts();
  steps_.clear();
  for (size_t b = 0; b < voices_.size(); ++b) {
    steps_.push_back({.state = &voices_[b].state,
                      .next_text = {texts_.rows().row(static_cast<int64_t>(b)), static_cast<size_t>(texts_.shape()[1])},
                      .pick_code = &pickers_[2 * b],
                      .pick_residual = &pickers_[2 * b + 1],
                      .codes = voices_[b].frame});
  }
  talker_.step(steps_, scratch_);
  for (Voice& voice : voices_) voice.waiting.insert(voice.waiting.end(), voice.frame.begin(), voice.frame.end());
  ++frames_;
}

// When engine::Speech would: up to four frames at a time, once the listener has some in hand.
Result<void> SpeechRun::vocode(bool all) {
  const auto waiting = static_cast<int>(voices_.front().waiting.size() / voices_.front().frame.size());
  if (!all && waiting < std::clamp(frames_ / 8, 1, 4)) return {};
  vocoding_.clear();
  for (Voice& voice : voices_) vocoding_.push_back({.stream = &voice.vocoder, .codes = voice.waiting, .samples = {}});
  TRY_VOID(model::Code2WavStream::step(vocoding_, vocoder_));
  for (const model::Code2WavStep& step : vocoding_) {
    if (!engine::all_finite(step.samples)) return std::unexpected(engine::not_finite("code2wav"));
  }
  for (Voice& voice : voices_) voice.waiting.clear();
  return {};
}

Result<SpeechSpeed> SpeechRun::speak(int frames) {
  const int64_t width = talker_.config().text.hidden_size;
  start_.resize({3, width});
  // The prompt is run while the thinker goes on, before the first token of the answer.
  Tensor prompt({prompt_, width});
  model::Positions positions;
  for (int i = 0; i < prompt_; ++i) positions.push(i);
  for (Voice& voice : voices_) {
    for (int64_t i = 0; i < prompt.elements(); ++i) prompt.data()[i] = 0.1f * static_cast<float>(i * 7919 % 41 - 20);
    if (prompt_ > 0) talker_.prefill(prompt.rows(), positions, voice.state, scratch_.decoder);
  }

  SpeechSpeed speed;
  const auto token = Clock::now();
  begin();
  step();
  TRY_VOID(vocode(true));
  speed.first_frame = ms(Clock::now() - token);
  while (frames_ < kWarmFrames) {
    step();
    TRY_VOID(vocode(false));
  }
  TRY_VOID(vocode(true));
  for (int i = 0; i < frames; ++i) {
    const auto begin = Clock::now();
    step();
    const auto stepped = Clock::now();
    TRY_VOID(vocode(i + 1 == frames));
    const auto end = Clock::now();
    speed.predictor += ms(predictor_ended_ - predictor_begins_) / frames;
    speed.talker += (ms(stepped - begin) - ms(predictor_ended_ - predictor_begins_)) / frames;
    speed.vocoder += ms(end - stepped) / frames;
    speed.frame += ms(end - begin) / frames;
  }
  return speed;
}

double median(const std::vector<SpeechSpeed>& runs, double SpeechSpeed::* member) {
  std::vector<double> values;
  for (const SpeechSpeed& run : runs) values.push_back(run.*member);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

Result<void> bench_speech(const model::Model& model, const BenchOptions& options) {
  if (!model.speaks()) return fail(ErrorCode::unsupported, "this model does not speak: it has no talker");
  const int64_t context = model.config.talker.text.max_position_embeddings;
  if (options.prompt_tokens + model::Talker::kAssistantRows + kWarmFrames + options.gen_tokens > context) {
    return fail(ErrorCode::too_large, "--prompt-tokens and --gen-tokens together are over the talker's context of " + std::to_string(context) + " tokens");
  }
  const int64_t samples = model.code2wav->samples(2) - model.code2wav->samples(1);
  const double frame_ms = 1000 * static_cast<double>(samples) / kSampleRate;
  if (!options.json) {
    std::printf("%8s %8s %14s %12s %18s %12s %24s %14s\n", "sessions", "threads", "first frame ms", "talker ms", "code predictor ms",
                "vocoder ms", "seconds a second spoken", "peak memory");
  }
  for (const int batch : options.batch) {
    std::vector<SpeechSpeed> runs;
    for (int i = 0; i < options.repeat; ++i) {
      SpeechRun run(model, options.prompt_tokens, batch);
      TRY(const SpeechSpeed speed, run.speak(options.gen_tokens));
      runs.push_back(speed);
    }
    const double first = median(runs, &SpeechSpeed::first_frame), talker = median(runs, &SpeechSpeed::talker);
    const double predictor = median(runs, &SpeechSpeed::predictor), vocoder = median(runs, &SpeechSpeed::vocoder);
    const double factor = median(runs, &SpeechSpeed::frame) / frame_ms;
    const auto memory = static_cast<long long>(peak_memory_bytes());
    if (options.json) {
      std::printf("{\"sessions\": %d, \"threads\": %d, \"frames\": %d, \"first_frame_ms\": %.2f, \"talker_ms_per_frame\": %.3f, "
                  "\"code_predictor_ms_per_frame\": %.3f, \"vocoder_ms_per_frame\": %.3f, \"real_time_factor\": %.4f, \"peak_memory_bytes\": %lld}\n",
                  batch, thread_count(), options.gen_tokens, first, talker, predictor, vocoder, factor, memory);
    } else {
      std::printf("%8d %8d %14.1f %12.2f %18.2f %12.2f %24.3f %11.1f MB\n", batch, thread_count(), first, talker, predictor, vocoder, factor,
                  double(memory) / 1e6);
    }
    std::fflush(stdout);
  }
  return {};
}

}  // namespace calliope::cli
