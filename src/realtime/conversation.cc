#include "realtime/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "hearing/transcription_question.h"

namespace calliope::realtime {

using assistant::Role;
using std::chrono::duration_cast;

namespace {

uint64_t random_seed() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

}  // namespace

Conversation::Conversation(Settings settings, wire::Session session, std::shared_ptr<assistant::Engine> engine,
                           std::string user, int64_t expires_at_s, TimePoint now, std::function<void()> wake)
    : settings_(settings),
      session_(std::move(session)),
      engine_(std::move(engine)),
      user_(std::move(user)),
      session_id_(Shared(settings.items).id("sess_")),
      expires_at_s_(expires_at_s),
      ends_at_(now + settings.session),
      now_(now),
      memory_(settings_.memory),
      complained_(now - std::chrono::hours(1)),
      shared_(settings.items),
      inbox_(std::make_shared<Inbox>(std::move(wake))),
      playback_end_(now) {
  shared_.conversation_id = shared_.id("conv_");
  shared_.outbox.push(wire::SessionCreated{session_, session_id_, expires_at_s_});
  shared_.outbox.push(wire::ConversationCreated{shared_.conversation_id});
}

Conversation::~Conversation() {
  inbox_->close();
  for (auto& [id, run] : runs_) run.stop.request_stop();
}

void Conversation::handle(wire::ClientEvent event, TimePoint now) {
  if (over_) return;
  now_ = now;
  event_id_ = std::move(event.event_id);
  std::visit([this](auto&& body) { on(std::forward<decltype(body)>(body)); }, std::move(event.body));
  event_id_.clear();
  settle();
}

void Conversation::complain(Error error, std::string event_id, std::string code) {
  if (over_) return;
  shared_.outbox.push(wire::ErrorEvent{std::move(error), std::move(event_id), std::move(code)});
  settle();
}

void Conversation::error(ErrorCode code, std::string message, std::string field, std::string openai_code) {
  shared_.outbox.push(
      wire::ErrorEvent{{code, std::move(message), std::move(field)}, event_id_, std::move(openai_code)});
}

void Conversation::poll(TimePoint now) {
  now_ = now;
  for (auto& [run, event] : inbox_->take()) {
    on_run_event(run, std::move(event));
    if (shared_.outbox.bytes() > settings_.outbox_bytes) end("slow_reader");
  }
  if (over_) return;
  if (now_ >= ends_at_) {
    error(ErrorCode::invalid_argument,
          fmt::format("The session has reached its maximum duration of {} minutes.",
                      duration_cast<std::chrono::minutes>(settings_.session).count()),
          {}, "session_expired");
    return end("session_expired");
  }
  if (turn_ && now_ >= turn_->heard_at + settings_.stalled_input) {
    if (!turn_->paused) pause_turn();
    close_turn();
  }
  if (verdict_ && now_ >= verdict_->until) {
    Turn turn = std::move(verdict_->turn);
    verdict_.reset();
    conclude(std::move(turn), Outcome::answer);
  }
  if (idle_at_ && now_ >= *idle_at_) idle();
  settle();
}

std::optional<TimePoint> Conversation::deadline() const {
  if (over_) return std::nullopt;
  TimePoint first = ends_at_;
  if (turn_) first = std::min(first, turn_->heard_at + settings_.stalled_input);
  if (verdict_) first = std::min(first, verdict_->until);
  if (idle_at_) first = std::min(first, *idle_at_);
  if (!turn_ && !verdict_ && answer_ && answer_->ended() && answer_->held_bytes() > 0) {
    first = std::min(first, playback_end_ + settings_.resume_for);
  }
  return first;
}

std::optional<wire::ServerEvent> Conversation::next(TimePoint now) {
  auto event = shared_.outbox.pop();
  if (shared_.outbox.empty()) memory_.set(bytes());
  const auto* audio = event ? std::get_if<wire::AudioDelta>(&*event) : nullptr;
  if (audio == nullptr) return event;
  const auto sent_by = [&](Answer& answer) {
    const int64_t before = answer.sent_samples();
    answer.on_sent(*audio);
    const auto played =
        std::chrono::microseconds((answer.sent_samples() - before) * 1'000'000 / assistant::kSpeechSampleRate);
    playback_end_ = std::max(now, playback_end_) + played;
  };
  if (answer_ && answer_->id() == audio->place.response_id) sent_by(*answer_);
  for (const auto& other : others_) {
    if (other->id() == audio->place.response_id) sent_by(*other);
  }
  return event;
}

/// What follows from whatever has just happened.
void Conversation::settle() {
  if (over_) return;
  std::erase_if(others_, [](const auto& answer) { return answer->ended(); });
  const bool quiet = !active() && !turn_ && !verdict_;
  if (answer_ && (answer_->ended() || answer_->has_sound()) && !untranscribed_.empty()) {
    for (const auto& id : std::exchange(untranscribed_, {})) transcribe(id);
  } else if (quiet && !untranscribed_.empty()) {
    for (const auto& id : std::exchange(untranscribed_, {})) transcribe(id);
  }
  if (answer_ && answer_->ended() && !turn_ && !verdict_ && now_ >= playback_end_ + settings_.resume_for)
    answer_->forget_sound();
  const auto& idle = session_.turn_detection.idle_timeout_ms;
  if (!idle || !quiet) {
    idle_at_.reset();
  } else if (!idle_at_ && waits_for_person_ && answer_ && answer_->ended()) {
    const int64_t unsent = answer_->cancelled() ? 0 : answer_->samples() - answer_->sent_samples();
    idle_at_ = std::max(now_, playback_end_) + milliseconds(unsent * 1000 / assistant::kSpeechSampleRate + *idle);
  }
  memory_.set(bytes());
  const bool full = !memory_.has_room_for(0);
  if (shared_.outbox.bytes() > (full ? settings_.outbox_bytes_when_full : settings_.outbox_bytes)) {
    end("slow_reader");
  } else if (draining_ && !active() && others_.empty()) {
    end("server_stopping");
  }
}

/// What the conversation holds in memory, beside what is Counted.
size_t Conversation::bytes() const {
  constexpr size_t kAtLeast = 16 << 10, kSpokenAnswer = 1 << 10;
  size_t sum = kAtLeast + shared_.items.bytes() + shared_.outbox.bytes() + spoken_.size() * kSpokenAnswer;
  sum += static_cast<size_t>(input_.end() - input_.begin()) * sizeof(float);
  for (const Turn* turn : {turn_ ? &*turn_ : nullptr, verdict_ ? &verdict_->turn : nullptr}) {
    if (turn != nullptr && turn->answer) sum += turn->answer->bytes();
  }
  for (const auto& [id, run] : runs_) sum += run.bytes;
  if (answer_) sum += answer_->bytes();
  for (const auto& other : others_) sum += other->bytes();
  return sum;
}

/// Whether so much more may be held; old sounds are forgotten for it.
bool Conversation::make_room(size_t bytes) {
  if (memory_.has_room_for(bytes)) return true;
  // What was asked holds the old sounds, too. A turn that is heard early can be heard when it is over.
  if (answer_ && (answer_->ended() || !answer_->silent())) answer_->forget_question();
  if (turn_) drop_answer(*turn_);
  memory_.set(this->bytes());
  if (!memory_.has_room_for(bytes, shared_.items.old_sound_bytes())) return false;
  while (!memory_.has_room_for(bytes) && shared_.items.forget_oldest_sound(Items::Which::freed)) {
  }
  return memory_.has_room_for(bytes);
}

void Conversation::refuse_for_memory(std::string_view what, std::string field) {
  error(ErrorCode::unavailable,
        fmt::format("The {} MiB that all conversations of this server may hold are used up: {} was not taken. Delete "
                    "items, or try again later.",
                    memory_.most() >> 20, what),
        std::move(field), "memory_full");
}

void Conversation::end(std::string reason) {
  if (over_) return;
  over_ = std::move(reason);
  turn_.reset();
  verdict_.reset();
  for (auto& [id, run] : runs_) run.stop.request_stop();
  runs_.clear();
}

void Conversation::drain() {
  draining_ = true;
  settle();
}

AnswerPlan Conversation::plan(const wire::ResponseParams& params) const {
  AnswerPlan plan;
  plan.instructions = params.instructions.value_or(session_.instructions);
  plan.out_of_band = params.out_of_band;
  wire::ResponseView& view = plan.view;
  view.speak = params.speak.value_or(session_.speak);
  view.output_format = params.output_format.value_or(session_.output_format);
  view.voice = params.voice.value_or(session_.voice);
  view.max_output_tokens = params.max_output_tokens.value_or(session_.max_output_tokens);
  view.temperature = params.temperature ? params.temperature : session_.temperature;
  view.metadata = params.metadata;
  assistant::Request& request = plan.request;
  if (view.temperature) request.sampling.temperature = static_cast<float>(*view.temperature);
  request.sampling.seed = random_seed();  // so that an answer can be computed again
  request.max_tokens = view.max_output_tokens.value_or(settings_.default_max_tokens);
  request.speak = view.speak;
  if (view.voice != "default") request.voice = view.voice;
  request.tools = params.tools.value_or(session_.tools);
  request.tool_choice = params.tool_choice.value_or(session_.tool_choice);
  request.user = user_;
  request.live = view.speak;
  return plan;
}

uint64_t Conversation::submit(assistant::Request request, Run run) {
  const uint64_t id = next_run_++;
  const auto stop = run.stop.get_token();
  request.max_wait_s = settings_.max_wait_s;
  run.bytes = text_bytes(request);
  runs_.emplace(id, std::move(run));
  auto submitted = engine_->submit(std::move(request), inbox_->sink(id), stop);
  if (!submitted) on_run_event(id, assistant::Failed{std::move(submitted).error()});
  return id;
}

void Conversation::ask(const std::shared_ptr<Answer>& answer) { submit(answer->request(), {.answer = answer}); }

/// Leaves the oldest items out when the model's context is too small for all. False when that is not to be: what was
/// begun early is asked again with the whole sound when the turn is over.
bool Conversation::ask_shorter(const std::shared_ptr<Answer>& answer) {
  using Kind = wire::Truncation::Kind;
  const auto& truncation = session_.truncation;
  if (truncation.kind == Kind::disabled || answer->out_of_band() || !answer->begun() || !answer->silent()) return false;
  if (!shared_.items.shorten(truncation.kind == Kind::retention_ratio ? 1 - truncation.retention_ratio : 0.25))
    return false;
  answer->request().turns = shared_.items.turns(answer->instructions());
  ask(answer);
  return true;
}

void Conversation::begin_answer(const std::shared_ptr<Answer>& answer) {
  if (answer_ && answer_ != answer) answer_->forget_sound();
  answer_ = answer;
  cut_.reset();
  idle_at_.reset();
  waits_for_person_ = true;
  answer->begin();
  remember_spoken(answer);  // what was begun early may be complete by now
}

/// From when an answer has an item and sound, that can be truncated.
void Conversation::remember_spoken(const std::shared_ptr<Answer>& answer) {
  if (answer->speaks() && !answer->out_of_band() && !answer->item_id().empty()) spoken_.try_emplace(answer->item_id(), answer);
}

void Conversation::stop_runs(const Answer& answer) {
  std::erase_if(runs_, [&](auto& entry) {
    if (entry.second.answer.lock().get() != &answer) return false;
    entry.second.stop.request_stop();
    return true;
  });
}

void Conversation::on_run_event(uint64_t id, assistant::Event event) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return;  // stopped by now
  Run& run = found->second;
  const auto* failed = std::get_if<assistant::Failed>(&event);
  const bool last = failed != nullptr || std::holds_alternative<assistant::Finished>(event);
  if (run.kind == Run::Kind::transcription) {
    on_transcription_event(run, event);
  } else if (run.kind == Run::Kind::finished_question) {
    on_question_event(id, event);
  } else if (const auto answer = run.answer.lock()) {
    if (failed != nullptr && failed->error.code == ErrorCode::too_large) {
      runs_.erase(found);
      if (!ask_shorter(answer)) answer->on_event(std::move(event));
      return;
    }
    answer->on_event(std::move(event));
    if (answer->ended() && !last) {
      stop_runs(*answer);
      return;
    }
    remember_spoken(answer);
  }
  if (last) runs_.erase(id);
}

void Conversation::transcribe(const std::string& item_id) {
  const wire::Item* item = shared_.items.find(item_id);
  if (item == nullptr || item->content.empty() || !item->content[0].sound || !session_.transcription) return;
  assistant::Request request;
  request.id = shared_.id("tran_");
  std::string question = hearing::transcription_question(engine_->transcription_style(), session_.transcription->language,
                                                         session_.transcription->prompt);
  request.turns = {{.role = Role::user, .parts = {item->content[0].sound, std::move(question)}}};
  request.sampling.temperature = 0;
  request.max_tokens = 256;
  request.user = user_;
  const auto seconds = static_cast<double>(item->content[0].sound->samples.size()) / InputBuffer::kRate;
  submit(std::move(request), {.kind = Run::Kind::transcription, .item_id = item_id, .seconds = seconds});
}

void Conversation::on_transcription_event(Run& run, assistant::Event& event) {
  const bool deciding = verdict_ && verdict_->turn.item_id == run.item_id;
  if (auto* text = std::get_if<assistant::TextDelta>(&event)) {
    run.text += text->text;
    if (!deciding) shared_.outbox.push(wire::TranscriptionDelta{run.item_id, text->text});
    return;
  }
  const auto* failed = std::get_if<assistant::Failed>(&event);
  const auto* finished = std::get_if<assistant::Finished>(&event);
  if (failed == nullptr && finished == nullptr) return;
  const bool cancelled = finished != nullptr && finished->reason == assistant::FinishReason::cancelled;
  if (deciding) {
    // Letters only: "Mm-hm." and "mhm" are the same.
    std::string letters;
    for (const unsigned char c : run.text) {
      if (std::isalnum(c) || c >= 0x80) letters.push_back(static_cast<char>(std::tolower(c)));
    }
    static constexpr std::string_view kNoMore[] = {"",   "mhm", "mmhm", "mm", "hm",   "hmm",  "uhhuh", "aha",
                                                   "ah", "oh",  "uh",   "um", "yeah", "okay", "right", "isee"};
    const bool no_more = failed == nullptr && !cancelled && std::ranges::find(kNoMore, letters) != std::end(kNoMore);
    Turn turn = std::move(verdict_->turn);
    verdict_.reset();
    return conclude(std::move(turn), no_more ? Outcome::false_alarm : Outcome::answer);
  }
  if (failed != nullptr || cancelled) {
    Error why = failed != nullptr ? failed->error : Error{ErrorCode::unavailable, "The server stopped."};
    shared_.outbox.push(wire::TranscriptionFailed{run.item_id, std::move(why)});
    return;
  }
  if (wire::Item* item = shared_.items.find(run.item_id); item != nullptr && !item->content.empty()) {
    item->content[0].text = run.text;
    item->content[0].transcribed = true;
  }
  shared_.outbox.push(wire::TranscriptionCompleted{run.item_id, run.text, run.seconds});
}

/// Whether what was said until now is all of it; the model is asked, and not waited for longer than the turn allows.
void Conversation::ask_whether_finished() {
  assistant::Request request;
  request.id = shared_.id("turn_");
  request.turns = {
      {.role = Role::user,
       .parts = {recorded(turn_->begin, turn_->end),
                 std::string("Has the speaker finished speaking, so that it is time to answer? Answer Yes or No.")}}};
  request.choices = {"Yes", "No"};
  request.max_tokens = 8;
  request.user = user_;
  request.live = true;
  turn_->question = submit(std::move(request), {.kind = Run::Kind::finished_question});
}

void Conversation::on_question_event(uint64_t id, assistant::Event& event) {
  const auto* scored = std::get_if<assistant::Scored>(&event);
  if (scored == nullptr || scored->log_probabilities.size() != 2 || !turn_ || turn_->question != id || !turn_->paused)
    return;
  const double yes = std::exp(scored->log_probabilities[0]), no = std::exp(scored->log_probabilities[1]);
  using Eagerness = wire::TurnDetection::Eagerness;
  const auto eagerness = session_.turn_detection.eagerness;
  const double needed = eagerness == Eagerness::high ? 0.3 : eagerness == Eagerness::low ? 0.7 : 0.5;
  if (yes + no <= 0 || yes / (yes + no) < needed) return;
  turn_->finished = true;
  close_turn();
}

/// The conversation's answer stops here; it may go on from there.
void Conversation::interrupt(std::string_view reason) {
  if (active() == nullptr) return;
  stop_runs(*answer_);
  cut_ = answer_->heard_until(answer_->sent_samples());
  answer_->cancel(reason);
}

}  // namespace calliope::realtime
