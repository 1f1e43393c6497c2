#include "engine/session.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "engine/waiting_queue.h"
#include "model/positions.h"

namespace calliope::engine {
namespace {

SamplerOptions sampler_options(const assistant::Sampling& asked, const model::DrawDefaults& otherwise) {
  const float usual = otherwise.do_sample ? otherwise.temperature : 0.0f;
  return {.temperature = asked.temperature.value_or(usual),
          .top_k = asked.top_k.value_or(otherwise.do_sample ? otherwise.top_k : 0),
          .top_p = asked.top_p.value_or(otherwise.do_sample ? otherwise.top_p : 1.0f),
          .repetition_penalty = otherwise.repetition_penalty};
}

Result<void> check_reading(const model::Model& model, const assistant::Request& request) {
  if (!model.speaks()) return calliope::fail(ErrorCode::unsupported, "this model has no voice: its checkpoint has no talker", "model");
  for (const auto& turn : request.turns) {
    for (const auto& part : turn.parts) {
      if (!std::holds_alternative<std::string>(part)) {
        return calliope::fail(ErrorCode::unsupported, "what is read aloud follows words, no pictures and sounds", "instructions");
      }
    }
  }
  return {};
}

}  // namespace

Result<void> check_request(const model::Model& model, const assistant::Request& request) {
  if (!request.read_aloud.empty()) return check_reading(model, request);
  if (request.turns.empty()) return calliope::fail(ErrorCode::invalid_argument, "there is nothing to answer: messages is empty", "messages");
  if (request.speak && !model.speaks()) {
    return calliope::fail(ErrorCode::unsupported, "this model cannot speak: its checkpoint has no talker", "modalities");
  }
  TRY_VOID(Grammar::of_request(request));
  if (request.speak && !request.choices.empty()) {
    return calliope::fail(ErrorCode::invalid_argument, "choices are scored, not spoken: ask for one or the other", "choices");
  }
  for (const auto& turn : request.turns) {
    if (turn.role == assistant::Role::user && !model.text_only) continue;
    for (const auto& part : turn.parts) {
      if (std::holds_alternative<std::string>(part)) continue;
      if (model.text_only) {
        return calliope::fail(ErrorCode::unsupported, "this model reads text only: it takes no pictures and sounds", "messages");
      }
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
    : model_(std::move(model)), request_(std::move(request)), sink_(std::move(sink)), stop_(std::move(stop)), stops_(request_.stop) {
  request_.speak = request_.speak || !request_.read_aloud.empty();
}

void Session::attach(Meter& meter, Time asked, bool speaking) {
  meter_ = &meter;
  asked_at_ = asked;
  speaking_ = speaking && live_sound(request_) != nullptr;
}

void Session::check_stop() {
  if (stop_.stop_requested()) cancel();
}

void Session::begin(MediaCache* media, const KvMemory& memory, int64_t most_live_seconds) {
  most_ = memory.most_tokens();
  most_live_seconds_ = most_live_seconds;
  begun_ = true;
  if (!request_.read_aloud.empty()) return begin_reading();
  builder_.emplace(*model_, media);
  const int64_t room =
      request_.speak ? std::min(most_.thinker, most_.talker - Speech::most_tokens(model_->generation, 0, 0)) : most_.thinker;
  if (auto begun = builder_->begin(request_, {.live_seconds = most_live_seconds, .tokens = room}); !begun) {
    return fail(std::move(begun).error());
  }
  if (request_.choices.empty()) return;
  auto scoring = Scoring::make(model_->tokenizer, request_.choices);
  if (!scoring) return fail(std::move(scoring).error());
  scoring_ = *std::move(scoring);
  request_.max_tokens = static_cast<int>(scoring_->longest());  // what memory is claimed for
}

bool Session::encode(const TextStage& text) {
  if (!encoding()) return false;
  if (builder_->listening() && waited_s() > 2 * double(most_live_seconds_)) {
    fail({ErrorCode::too_large,
          "the sound did not end within " + std::to_string(2 * most_live_seconds_) + " seconds; begin a new one",
          "messages"});
    return true;
  }
  const auto stepped = builder_->step();
  if (!stepped) return fail(stepped.error()), true;
  if (speaking_ && !builder_->listening()) {
    speaking_ = false;
    asked_at_ = meter_->now();
  }
  if (*stepped) return true;
  if (!builder_->changed() && builder_->listening()) return false;
  if (auto taken = take_prompt(text); !taken) fail(std::move(taken).error());
  return true;
}

Result<void> Session::take_prompt(const TextStage& text) {
  TRY(Prompt prompt, builder_->prompt());
  usage_.prompt_tokens = static_cast<int>(prompt.size());
  usage_.prompt_audio_tokens = prompt.audio_tokens;
  usage_.prompt_image_tokens = prompt.image_tokens;
  text.replace_prompt(text_, std::move(prompt));
  if (!text_.prompt.whole) return {};
  prompt_whole_ = true;
  builder_.reset();
  request_.turns = {};  // sounds and pictures are needed no more
  return end_building();
}

// What follows from the whole prompt.
Result<void> Session::end_building() {
  const Prompt& prompt = text_.prompt;
  TRY(const KvMemory::Tokens needed, fit(prompt.size()));
  request_.max_tokens = static_cast<int>(needed.thinker - prompt.size());
  if (scoring_ && scoring_->longest() > request_.max_tokens) {
    return calliope::fail(ErrorCode::too_large,
                          "prompt and longest choice do not fit into the model's context; shorten them", "choices");
  }
  if (claim_) claim_->shrink(needed);
  text_.next_position = model::next_position(prompt.positions);
  const uint64_t seed = request_.sampling.seed.value_or(std::random_device{}());
  sampler_.emplace(sampler_options(request_.sampling, model_->generation.thinker), seed);
  sampler_->remember(prompt.ids);
  TRY(auto grammar, Grammar::of_request(request_));
  if (grammar) constraint_.emplace(std::move(grammar), model_->tokenizer, model_->generation.eos_token_ids);
  detokenizer_.emplace(model_->tokenizer);
  if (!request_.tools.empty() && request_.tool_choice.kind != assistant::ToolChoice::Kind::none) {
    std::vector<std::string> names;
    for (const auto& tool : request_.tools) names.push_back(tool.name);
    tools_.emplace(std::move(names));
  }
  speech_options_ = {
      .seed = request_.sampling.seed.value_or(std::random_device{}()),
      .max_frames = static_cast<int>(std::max<int64_t>(0, needed.talker - Speech::most_tokens(model_->generation, prompt.size(), 0))),
      .lead_frames = model_->generation.talker_lead_frames};
  return {};
}

void Session::take_scores() {
  if (!scoring_->done()) return;
  send(assistant::Scored{scoring_->log_probabilities()});
  finish(assistant::FinishReason::stop);
}

// What is needed at most with a prompt of so many tokens.
Result<KvMemory::Tokens> Session::fit(int64_t prompt) {
  const int64_t talker = Speech::most_tokens(model_->generation, prompt, 0);
  if (prompt + 1 > most_.thinker || (request_.speak && talker + 1 > most_.talker)) {
    return calliope::fail(ErrorCode::too_large,
                          "the prompt has " + std::to_string(prompt) +
                              " tokens, but the server's memory for conversations holds " +
                              std::to_string(request_.speak ? std::min(most_.thinker, most_.talker) : most_.thinker) +
                              "; shorten it, or start the server with a larger --kv-memory",
                          "messages");
  }
  const int64_t context = model_->config.thinker.text.max_position_embeddings;
  const int64_t tokens =
      std::min({std::max<int64_t>(request_.max_tokens, 1), context - prompt, most_.thinker - prompt});
  const int64_t frames = std::min<int64_t>(max_frames(model_->generation), most_.talker - talker);
  return KvMemory::Tokens{prompt + tokens, request_.speak ? talker + frames : 0};
}

bool Session::admit(KvMemory& memory) {
  const Result<KvMemory::Tokens> needed =
      reading_ ? KvMemory::Tokens{0, reading_->most_tokens()} : fit(prompt_whole_ ? text_.prompt.size() : builder_->most_tokens());
  if (!needed) return fail(needed.error()), true;
  auto claim = memory.claim(*needed);
  if (!claim) return false;
  claim_.emplace(std::move(*claim));
  text_.state = model::DecoderState(memory.thinker());
  talker_memory_ = memory.talker();
  if (reading_) begin_passage();
  return true;
}

void Session::refuse_late() {
  fail(too_late("the request has waited " + seconds_text(request_.max_wait_s) + " s for memory, as long as it may.", request_.max_wait_s));
}

void Session::end_prompt() {
  usage_.prompt_cached_tokens = static_cast<int>(text_.found);
  meter_->stats.prompt_tokens_cached += static_cast<uint64_t>(text_.found);
  if (request_.speak) {
    const int64_t width = model_->config.thinker.text.hidden_size;
    const auto rows = static_cast<int64_t>(text_.media_hidden.size()) / width;
    speech_.emplace(*model_, text_.prompt, tensor::ConstRows{text_.media_hidden.data(), rows, width, width}, request_.voice,
                    speech_options_, talker_memory_);
    if (model_->generation.talker_reads_sounds) spelling_.emplace(*model_);
  }
  text_.prompt.forget_rows();
}

void Session::draw(std::span<float> logits) {
  if (auto drawn = draw_from(logits); !drawn) fail(std::move(drawn).error());
}

Result<int32_t> Session::pick(std::span<float> logits) {
  if (!constraint_) return sampler_->pick(logits);
  const int64_t left = request_.max_tokens - usage_.completion_tokens - 1;
  std::vector<float> kept(logits.begin(), logits.end());  // to try again
  int32_t token = sampler_->pick(logits, [&](int id) { return constraint_->allows(id, left); });
  if (token < 0) token = sampler_->pick(kept, [&](int id) { return constraint_->allows(id, Grammar::kNever); });  // it will not end in time
  if (token < 0) return calliope::fail(ErrorCode::internal, "no token of the model goes on with what the answer must look like");
  return token;
}

Result<void> Session::draw_from(std::span<float> logits) {
  if (!all_finite(logits)) return std::unexpected(not_finite("thinker"));
  TRY(const int32_t token, pick(logits));
  ++usage_.completion_tokens;
  ++meter_->stats.tokens_drawn;
  const auto& eos = model_->generation.eos_token_ids;
  if (std::find(eos.begin(), eos.end(), token) != eos.end()) return end_text(assistant::FinishReason::stop), Result<void>();
  const std::string written = detokenizer_->push(token);
  take_written(written);
  if (constraint_) constraint_->take(token);
  if ((constraint_ && constraint_->ended()) || stops_.stopped() || (tools_ && tools_->calls() > 0 && !request_.parallel_tool_calls)) {
    return end_text(assistant::FinishReason::stop), Result<void>();
  }
  if (usage_.completion_tokens >= request_.max_tokens) return end_text(assistant::FinishReason::length), Result<void>();
  if (speech_ && tools_) {
    written_.push_back({token, written_bytes_, written_bytes_ + written.size(), written});
    written_bytes_ += written.size();
    speak_decided();
  } else if (speech_) {
    speak(token, written);
  }
  text_.token = token;
  return {};
}

void Session::finish_if_done() {
  if (!admitted() || ended_ || !text_ended_ || (speech_ && !speech_->done())) return;
  if (speech_) {
    speech_->words().settle(true);
    tell_words();
    tell({text_bytes_, sent_samples_});
  }
  finish(reason_);
}

void Session::take_written(std::string_view text) {
  if (tools_) take_pieces(tools_->push(text));
  else emit(stops_.push(text));
}

// In their order, so a call does not overtake text that may have become a stop string. After a stop string there is nothing.
void Session::take_pieces(std::vector<ToolCallReader::Piece> pieces) {
  for (auto& piece : pieces) {
    if (stops_.stopped()) return;
    if (const auto* text = std::get_if<std::string>(&piece)) {
      emit(stops_.push(*text));
      continue;
    }
    emit(stops_.finish());
    answering_ = true;
    send(assistant::ToolCalled{std::move(std::get<assistant::ToolCall>(piece))});
    if (!request_.parallel_tool_calls) return;
  }
}

void Session::end_text(assistant::FinishReason reason) {
  const bool enough = tools_ && tools_->calls() > 0 && !request_.parallel_tool_calls;
  if (!stops_.stopped() && !enough) {
    take_written(detokenizer_->finish());
    if (tools_) take_pieces(tools_->finish());
    if (tools_ && speech_) speak_decided();
    if (!stops_.stopped()) emit(stops_.finish());
  }
  if (tools_ && tools_->calls() > 0 && reason == assistant::FinishReason::stop) reason = assistant::FinishReason::tool_calls;
  reason_ = reason;
  text_ended_ = true;
  if (speech_ && spelling_) speak(spelling_->finish());
  if (speech_) speech_->finish_text();
}

void Session::emit(std::string text) {
  if (text.empty()) return;
  if (!std::exchange(text_sent_, true)) meter_->stats.first_text_seconds.add(seconds_between(asked_at_, meter_->now()));
  if (!request_.speak) answering_ = true;
  text_bytes_ += text.size();
  send(assistant::TextDelta{std::move(text)});
}

// After a stop nothing goes out but the last marks and the end.
void Session::send(assistant::Event event) {
  check_stop();
  if (!ended_) sink_->on_event(std::move(event));
}

void Session::finish(assistant::FinishReason reason) {
  if (ended_) return;
  ended_ = true;
  if (stop_.stop_requested()) reason = assistant::FinishReason::cancelled;
  if (meter_) ++(reason == assistant::FinishReason::cancelled ? meter_->stats.cancelled : meter_->stats.finished);
  sink_->on_event(assistant::Finished{reason, usage_});
}

void Session::cancel() {
  if (speech_ && !ended_) {
    speech_->words().settle(false);
    tell_words();
  }
  finish(assistant::FinishReason::cancelled);
}

void Session::fail(Error error) {
  if (ended_) return;
  if (stop_.stop_requested()) return cancel();
  ended_ = true;
  if (meter_) ++meter_->stats.failed[static_cast<size_t>(error.code)];
  sink_->on_event(assistant::Failed{std::move(error)});
}

}  // namespace calliope::engine
