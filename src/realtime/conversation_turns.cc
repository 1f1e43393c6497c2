// When it is whose turn: speech begins, pauses, goes on and ends.
#include <algorithm>

#include "hearing/transcription_question.h"
#include "realtime/conversation.h"

namespace calliope::realtime {

using Detection = wire::TurnDetection;
using assistant::Role;

namespace {

constexpr int64_t kShortestSound = InputBuffer::kRate / 10;

/// How long a semantic_vad waits at most, for whoever may go on.
milliseconds longest_pause(Detection::Eagerness eagerness) {
  switch (eagerness) {
    case Detection::Eagerness::low: return milliseconds(8000);
    case Detection::Eagerness::high: return milliseconds(2000);
    case Detection::Eagerness::automatic:
    case Detection::Eagerness::medium: break;
  }
  return milliseconds(4000);
}

}  // namespace

bool Conversation::answers_by_itself() const {
  return session_.turn_detection.create_response && !session_.transcription_only && !draining_;
}

/// Looks at what has come since the last call.
void Conversation::detect() {
  const Detection& detection = session_.turn_detection;
  const double threshold = detection.kind == Detection::Kind::server_vad ? detection.threshold : 0.5;
  const int64_t begin_after = std::min<int64_t>(settings_.begin_after.count(), detection.silence_duration_ms);
  while (detector_->position() + TurnDetector::kFrame <= input_.end()) {
    const int64_t at = detector_->position();
    const bool began = detector_->push(input_.view(at, at + TurnDetector::kFrame), threshold);
    if (began && !turn_) open_turn();
    if (!turn_) continue;
    if (turn_->paused && detector_->voice_end() > turn_->end) go_on();
    const int64_t silence = detector_->position() - detector_->voice_end();
    if (!turn_->paused && silence >= samples_of_ms(begin_after)) pause_turn();
    if (turn_ && turn_is_over()) {
      if (!turn_->paused) pause_turn();
      if (turn_) close_turn();
    }
  }
  if (turn_) feed(*turn_);
  trim_input();
}

bool Conversation::turn_is_over() const {
  const Detection& detection = session_.turn_detection;
  const int64_t silence = detector_->position() - detector_->voice_end();
  if (detector_->position() - turn_->begin >= static_cast<int64_t>(settings_.input_samples)) return true;
  if (detection.kind == Detection::Kind::server_vad) return silence >= samples_of_ms(detection.silence_duration_ms);
  return turn_->finished || silence >= samples_of_ms(longest_pause(detection.eagerness).count());
}

void Conversation::open_turn() {
  if (verdict_) {  // more is coming: what was said before was no mere noise
    Turn before = std::move(verdict_->turn);
    verdict_.reset();
    conclude(std::move(before), Outcome::commit);
  }
  const int64_t prefix = samples_of_ms(session_.turn_detection.prefix_padding_ms);
  turn_ = Turn{};
  turn_->item_id = shared_.id("item_");
  turn_->begin = std::max(input_.begin(), detector_->begin() - prefix);
  turn_->heard_at = now_;
  idle_at_.reset();
  shared_.outbox.push(wire::SpeechStarted{turn_->item_id, ms_of(turn_->begin)});
  if (session_.turn_detection.interrupt_response && active() != nullptr) {
    interrupt("turn_detected");
    turn_->interrupted = true;
  }
  hear_live();
}

/// The engine gets the sound while the person speaks.
void Conversation::hear_live() {
  if (!settings_.hear_while_speaking) return;
  turn_->live = std::make_shared<Counted<assistant::LiveSound>>(settings_.memory);
  turn_->fed = turn_->begin;
  turn_->answer = hear(turn_->live->part(turn_->live, turn_->live->value));
  if (!turn_->answer) turn_->live.reset();
}

/// Has the engine begin an answer to a sound; it is told when the turn is over.
std::shared_ptr<Answer> Conversation::hear(assistant::Part sound) {
  if (!answers_by_itself() || active() != nullptr) return nullptr;
  AnswerPlan plan = this->plan({});
  plan.request.turns = shared_.items.turns(plan.instructions);
  plan.request.turns.push_back({.role = Role::user, .parts = {std::move(sound)}});
  auto answer = std::make_shared<Answer>(shared_, std::move(plan));
  ask(answer);
  return answer;
}

/// What was said between two positions of the input, with silence up to `shortest` samples.
assistant::SoundPart Conversation::recorded(int64_t begin, int64_t end, size_t shortest) const {
  const auto sound = std::make_shared<Counted<assistant::Sound>>(settings_.memory);
  const auto heard = input_.view(begin, end);
  std::vector<float>& samples = sound->value.samples;
  samples.assign(heard.begin(), heard.end());
  if (samples.size() < shortest) samples.resize(shortest);
  sound->value.live = true;
  sound->memory.set(samples.size() * sizeof(float));
  return sound->part<const assistant::Sound>(sound, sound->value);
}

/// Gives the engine what it has not heard yet.
void Conversation::feed(Turn& turn) {
  if (!turn.live || turn.paused) return;
  turn.live->value.append(input_.view(turn.fed, detector_->position()));
  turn.fed = detector_->position();
  turn.live->memory.set(static_cast<size_t>(turn.fed - turn.begin) * sizeof(float));
}

/// Silence: the answer begins to be computed, in case the person has finished.
void Conversation::pause_turn() {
  feed(*turn_);
  turn_->paused = true;
  turn_->end = detector_->position();
  if (turn_->live) {
    turn_->live->value.end();
  } else if (!turn_->interrupted || !can_resume() ||
             ms_of(detector_->voiced_samples()) >= settings_.false_interruption.count()) {
    turn_->answer = hear(recorded(turn_->begin, turn_->end));
  }
  if (session_.turn_detection.kind == Detection::Kind::semantic_vad) ask_whether_finished();
}

/// The person had not finished: what was begun is dropped, and all that was said is heard again.
void Conversation::go_on() {
  drop_answer(*turn_);
  turn_->paused = false;
  turn_->finished = false;
  if (turn_->question != 0) {
    if (const auto run = runs_.find(turn_->question); run != runs_.end()) {
      run->second.stop.request_stop();
      runs_.erase(run);
    }
    turn_->question = 0;
  }
  hear_live();
}

void Conversation::drop_answer(Turn& turn) {
  if (turn.live) turn.live->value.end();
  if (turn.answer) stop_runs(*turn.answer);
  turn.answer.reset();
  turn.live.reset();
}

void Conversation::abandon_turn() {
  if (turn_) drop_answer(*turn_);
  turn_.reset();
  if (detector_) detector_->end_turn();
}

void Conversation::close_turn() {
  Turn turn = std::move(*turn_);
  turn_.reset();
  const int64_t voiced_ms = ms_of(detector_->voiced_samples());
  detector_->end_turn();
  if (const auto run = runs_.find(turn.question); turn.question != 0 && run != runs_.end()) {
    run->second.stop.request_stop();
    runs_.erase(run);
  }
  turn.sound = recorded(turn.begin, turn.end);
  shared_.outbox.push(wire::SpeechStopped{turn.item_id, ms_of(detector_->voice_end())});
  if (turn.interrupted && can_resume()) {
    if (voiced_ms < settings_.false_interruption.count()) return conclude(std::move(turn), Outcome::false_alarm);
    if (session_.transcription && voiced_ms < settings_.backchannel.count()) {
      assistant::Request request;
      request.id = shared_.id("tran_");
      request.turns = {{.role = Role::user, .parts = {turn.sound, hearing::transcription_question(engine_->transcription_style(), {}, {})}}};
      request.sampling.temperature = 0;
      request.max_tokens = 32;
      request.user = user_;
      request.live = true;
      const std::string item_id = turn.item_id;
      verdict_ = Verdict{.turn = std::move(turn), .until = now_ + settings_.verdict};
      submit(std::move(request), {.kind = Run::Kind::transcription, .item_id = item_id});
      return;
    }
  }
  conclude(std::move(turn), Outcome::answer);
}

void Conversation::conclude(Turn turn, Outcome outcome) {
  if (outcome == Outcome::false_alarm) {
    drop_answer(turn);
    shared_.outbox.push(wire::InputCleared{});
    return resume();
  }
  commit(turn.item_id, turn.sound);
  if (outcome == Outcome::commit || !answers_by_itself()) return drop_answer(turn);
  if (active() != nullptr) {
    drop_answer(turn);
    return error(
        ErrorCode::invalid_argument,
        "A response is in progress and may not be interrupted, so this turn was added to the conversation and not "
        "answered.",
        {}, "conversation_already_has_active_response");
  }
  if (turn.answer && turn.answer->refused_early()) drop_answer(turn);  // asked anew: its wait begins now
  auto answer = std::move(turn.answer);
  if (!answer) {
    AnswerPlan plan = this->plan({});
    plan.request.turns = shared_.items.turns(plan.instructions);
    answer = std::make_shared<Answer>(shared_, std::move(plan));
    begin_answer(answer);
    return ask(answer);
  }
  // Were it to be computed again, the sound is whole by now.
  if (!answer->request().turns.empty()) answer->request().turns.back().parts = {turn.sound};
  begin_answer(answer);
}

/// Whether the newest answer was cut off before it was heard to its end.
bool Conversation::can_resume() const {
  return answer_ && cut_ && answer_->ended() && !answer_->failed() && answer_->speaks() && answer_->held_bytes() > 0 &&
         (answer_->complete() || answer_->repeatable()) &&
         !(answer_->complete() && cut_->samples >= answer_->whole_samples());
}

/// The answer goes on where it ended to be heard: first what is there, then what is computed again.
void Conversation::resume() {
  if (!can_resume() || draining_) return;
  const auto answer = std::make_shared<Answer>(shared_, *answer_, *cut_);
  begin_answer(answer);
  if (answer->complete()) {
    answer->finish_known();
  } else {
    ask(answer);
  }
  if (!answer->item_id().empty()) spoken_.try_emplace(answer->item_id(), answer);
}

void Conversation::commit(const std::string& item_id, assistant::SoundPart sound) {
  wire::Item item{.id = item_id, .role = Role::user};
  item.content = {{.kind = wire::Content::Kind::input_audio, .sound = std::move(sound)}};
  const auto before = shared_.items.insert(item);
  if (!before) return error(before.error().code, before.error().message);
  shared_.outbox.push(wire::InputCommitted{item_id, *before});
  shared_.outbox.push(wire::ItemAdded{item, *before});
  shared_.outbox.push(wire::ItemDone{item, *before});
  if (session_.transcription) untranscribed_.push_back(item_id);
}

/// Nobody has spoken for idle_timeout_ms after an answer: the model says something.
void Conversation::idle() {
  idle_at_.reset();
  waits_for_person_ = false;
  if (!answers_by_itself() || active() != nullptr) return;
  const int64_t wanted = samples_of_ms(session_.turn_detection.idle_timeout_ms.value_or(0));
  const int64_t begin = std::max(input_.begin(), input_.end() - wanted);
  auto sound = recorded(begin, input_.end(), kShortestSound);
  const std::string item_id = shared_.id("item_");
  shared_.outbox.push(wire::IdleTimeout{item_id, ms_of(begin), ms_of(input_.end())});
  commit(item_id, std::move(sound));
  AnswerPlan plan = this->plan({});
  plan.request.turns = shared_.items.turns(plan.instructions);
  const auto answer = std::make_shared<Answer>(shared_, std::move(plan));
  begin_answer(answer);
  ask(answer);
}

/// While nobody speaks, only what may become the beginning of a turn is kept.
void Conversation::trim_input() {
  if (turn_) return;
  const Detection& detection = session_.turn_detection;
  const int64_t kept = samples_of_ms(std::max(detection.prefix_padding_ms, detection.idle_timeout_ms.value_or(0))) +
                       TurnDetector::kOnset + 2 * TurnDetector::kFrame;
  if (input_.end() - input_.begin() > 2 * kept + InputBuffer::kRate) input_.drop_until(input_.end() - kept);
}

}  // namespace calliope::realtime
