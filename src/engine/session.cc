#include "engine/session.h"

#include <algorithm>
#include <random>

#include "model/positions.h"

namespace calliope::engine {
namespace {

constexpr int64_t kPrefillTokens = 256;  // a piece of prefill: others get their turn in between

SamplerOptions sampler_options(const assistant::Sampling& asked, const model::DrawDefaults& otherwise) {
  const float usual = otherwise.do_sample ? otherwise.temperature : 0.0f;
  return {.temperature = asked.temperature.value_or(usual),
          .top_k = asked.top_k.value_or(otherwise.do_sample ? otherwise.top_k : 0),
          .top_p = asked.top_p.value_or(otherwise.do_sample ? otherwise.top_p : 1.0f),
          .repetition_penalty = otherwise.repetition_penalty};
}

}  // namespace

Result<void> check_request(const model::Model& model, const assistant::Request& request) {
  if (request.turns.empty()) return calliope::fail(ErrorCode::invalid_argument, "there is nothing to answer: messages is empty", "messages");
  if (request.speak && !model.speaks()) {
    return calliope::fail(ErrorCode::unsupported, "this model cannot speak: its checkpoint has no talker", "modalities");
  }
  for (const auto& turn : request.turns) {
    if (turn.role == assistant::Role::user) continue;
    for (const auto& part : turn.parts) {
      if (std::holds_alternative<std::string>(part)) continue;
      return calliope::fail(ErrorCode::unsupported, "pictures and sounds belong in user messages", "messages");
    }
  }
  return {};
}

std::vector<std::string> voice_names(const model::Model& model) {
  std::vector<std::string> names;
  for (const auto& [name, id] : model.config.talker.speaker_id) names.push_back(name);
  return names;
}

Session::Session(std::shared_ptr<const model::Model> model, assistant::Request request, std::shared_ptr<assistant::Sink> sink,
                 std::stop_token stop)
    : model_(std::move(model)), request_(std::move(request)), sink_(std::move(sink)), stop_(std::move(stop)), stops_(request_.stop) {}

bool Session::step() {
  if (ended_) return false;
  if (stop_.stop_requested()) {
    cancel();
  } else if (!opened_) {
    if (auto opened = open(); !opened) fail(std::move(opened).error());
  } else if (prefilled_ < prompt_.size()) {
    prefill_piece();
  } else {
    if (!text_ended_) {
      if (auto stepped = text_step(); !stepped) fail(std::move(stepped).error());
    }
    if (!ended_ && speech_ && speech_->ready()) {
      if (auto spoken = speech_step(); !spoken) fail(std::move(spoken).error());
    }
    if (!ended_ && text_ended_ && (!speech_ || speech_->done())) finish(reason_);
  }
  return !ended_;
}

Result<void> Session::open() {
  TRY(prompt_, build_prompt(*model_, request_));
  usage_.prompt_tokens = static_cast<int>(prompt_.size());
  usage_.prompt_audio_tokens = prompt_.audio_tokens;
  usage_.prompt_image_tokens = prompt_.image_tokens;
  const model::DecoderConfig& text = model_->config.thinker.text;
  const int64_t room = text.max_position_embeddings - prompt_.size();
  request_.max_tokens = static_cast<int>(std::clamp<int64_t>(request_.max_tokens, 1, room));
  state_.reserve(text, prompt_.size() + std::min<int64_t>(request_.max_tokens, 1024));
  next_position_ = model::next_position(prompt_.positions);
  const uint64_t seed = request_.sampling.seed.value_or(std::random_device{}());
  sampler_.emplace(sampler_options(request_.sampling, model_->generation.thinker), seed);
  sampler_->remember(prompt_.ids);
  detokenizer_.emplace(model_->tokenizer);
  hidden_.resize({1, text.hidden_size});
  logits_.resize({1, text.vocab_size});
  opened_ = true;
  return {};
}

void Session::prefill_piece() {
  const int64_t begin = prefilled_, count = std::min(kPrefillTokens, prompt_.size() - begin);
  model::Positions positions;
  for (int axis = 0; axis < 3; ++axis) {
    const auto& all = prompt_.positions.axis[axis];
    positions.axis[axis].assign(all.begin() + begin, all.begin() + begin + count);
  }
  std::vector<int64_t> visual;
  const auto first = std::lower_bound(prompt_.visual_rows.begin(), prompt_.visual_rows.end(), begin);
  for (auto row = first; row != prompt_.visual_rows.end() && *row < begin + count; ++row) visual.push_back(*row - begin);
  std::vector<tensor::ConstRows> deepstack;
  for (const auto& level : prompt_.deepstack) {
    deepstack.push_back(level.rows().slice(first - prompt_.visual_rows.begin(), static_cast<int64_t>(visual.size())));
  }
  const tensor::Rows rows = prompt_.embeds.rows().slice(begin, count);
  tensor::Tensor accept;
  model_->thinker.forward({.embeds = rows, .positions = &positions, .visual_rows = visual, .deepstack = deepstack}, state_,
                          {.accept_hidden = request_.speak ? &accept : nullptr});
  for (int64_t row = 0; request_.speak && row < count; ++row) {
    if (!prompt_.is_media(begin + row, model_->config.thinker)) continue;
    const float* hidden = accept.rows().row(row);
    media_rows_.insert(media_rows_.end(), hidden, hidden + accept.shape()[1]);
  }
  prefilled_ += count;
  if (prefilled_ < prompt_.size()) return;
  std::copy_n(rows.row(count - 1), rows.cols, hidden_.data());
  if (!request_.speak) return;
  const int64_t size = model_->config.thinker.text.hidden_size;
  media_hidden_.resize({static_cast<int64_t>(media_rows_.size()) / size, size});
  std::copy(media_rows_.begin(), media_rows_.end(), media_hidden_.data());
  speech_.emplace(*model_, prompt_, media_hidden_, request_.voice,
                  SpeechOptions{.seed = request_.sampling.seed.value_or(std::random_device{}()),
                                .max_frames = max_frames(model_->generation)});
}

Result<void> Session::text_step() {
  model_->thinker.logits(hidden_.rows(), logits_.rows());
  if (!all_finite(logits_.span())) return std::unexpected(not_finite("thinker"));
  const int32_t token = sampler_->pick(logits_.span());
  ++usage_.completion_tokens;
  const auto& eos = model_->generation.eos_token_ids;
  if (std::find(eos.begin(), eos.end(), token) != eos.end()) return end_text(assistant::FinishReason::stop), Result<void>();
  emit(stops_.push(detokenizer_->push(token)));
  if (stops_.stopped()) return end_text(assistant::FinishReason::stop), Result<void>();
  if (usage_.completion_tokens >= request_.max_tokens) return end_text(assistant::FinishReason::length), Result<void>();
  if (speech_) speech_->push(token);
  model_->thinker.embed({&token, 1}, hidden_.rows());
  model::Positions positions;
  positions.push(next_position_++);
  model_->thinker.forward({.embeds = hidden_.rows(), .positions = &positions}, state_);
  return {};
}

Result<void> Session::speech_step() {
  TRY(const auto samples, speech_->step());
  usage_.completion_audio_frames = speech_->frames();
  if (!samples.empty()) sink_->on_event(assistant::AudioDelta{{samples.begin(), samples.end()}});
  return {};
}

void Session::end_text(assistant::FinishReason reason) {
  if (!stops_.stopped()) {
    emit(stops_.push(detokenizer_->finish()));
    emit(stops_.finish());
  }
  reason_ = reason;
  text_ended_ = true;
  if (speech_) speech_->finish_text();
}

void Session::emit(std::string text) {
  if (!text.empty()) sink_->on_event(assistant::TextDelta{std::move(text)});
}

void Session::finish(assistant::FinishReason reason) {
  if (ended_) return;
  ended_ = true;
  sink_->on_event(assistant::Finished{reason, usage_});
}

void Session::cancel() { finish(assistant::FinishReason::cancelled); }

void Session::fail(Error error) {
  if (ended_) return;
  ended_ = true;
  sink_->on_event(assistant::Failed{std::move(error)});
}

}  // namespace calliope::engine
