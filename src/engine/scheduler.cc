#include "engine/scheduler.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <tuple>
#include <utility>

namespace calliope::engine {
namespace {

// Rows of a prompt that go into one pass: so many that the weights are well used, so few that others soon get their turn.
constexpr int64_t kPrefillRows = 256;
constexpr int64_t kPrefillRowsBesideOthers = 64;
constexpr int64_t kFewestPrefillRows = 8;
constexpr size_t kMediaBytes = size_t{64} << 20;  // features of pictures and sounds that may come again

// Sound in a listener's hand. Below the first nothing else runs than what he needs; with more than the second he can
// wait while others have work, those up to the third coming along so that passes stay full.
constexpr double kTightS = 0.15, kPlentyS = 1.0, kAmpleS = 1.5;
// When the machine is too slow for all who listen, every so many rounds everybody gets a turn all the same.
constexpr int kMostTightRounds = 4;
// What one part of a round, which nothing interrupts, may take: a stop shall be seen within 50 ms.
constexpr double kPieceS = 0.02, kPieceBesideSpeechS = 0.008, kMostPieceBesideSpeechS = 0.1;
constexpr int kMostEncoderSteps = 64;

constexpr double kNever = std::numeric_limits<double>::infinity();

// What the listener has in hand; none: he has not begun to listen, or nothing more comes.
double ahead_s(Session& session, Time now) {
  const Speech* speech = session.speech();
  if (!session.live() || !speech || speech->done() || !session.playback().begun()) return kNever;
  return session.playback().ahead_s(now);
}

}  // namespace

Scheduler::Scheduler(const model::Model& model, std::unique_ptr<KvMemory> memory, const SchedulerOptions& options,
                     Meter meter)
    : meter_(std::move(meter)),
      options_(options),
      memory_(std::move(memory)),
      prefixes_(options.share_prefixes ? std::make_unique<PrefixCache>(memory_->thinker()) : nullptr),
      media_(options.share_prefixes ? std::make_unique<MediaCache>(kMediaBytes) : nullptr),
      text_(model, prefixes_.get()),
      scores_(model) {}

Scheduler::~Scheduler() { cancel_all(); }

void Scheduler::add(std::unique_ptr<Session> session, Time asked, bool speaking) {
  session->attach(meter_, asked, speaking);
  User& user = users_[session->user()];
  ++user.sessions;
  places_.push_back({std::move(session), &user});
}

int Scheduler::sessions_of(const std::string& user) const {
  const auto known = users_.find(user);
  return known == users_.end() ? 0 : known->second.sessions;
}

bool Scheduler::listening() const {
  return std::ranges::any_of(places_, [](const Place& place) { return place.session->listening(); });
}

void Scheduler::cancel_all() {
  for (const Place& place : places_) place.session->cancel();
  forget_ended();
}

bool Scheduler::step() {
  const Time start = meter_.now();
  worked_ = false;
  check_stops();
  try {
    begin_new();
    admit_waiting();
    plan();
    encode_round();
    answer_round();
    if (!worked_ && !std::ranges::all_of(places_, &Place::turn)) {
      // Those they made room for have nothing to do.
      tight_ = false;
      for (Place& place : places_) place.turn = true;
      encode_round();
      answer_round();
    }
  } catch (const std::exception& error) {
    // What was thrown may have left any of them half way.
    for (const Place& place : places_) {
      if (place.session->begun()) place.session->fail({ErrorCode::internal, error.what()});
    }
  }
  for (const Place& place : places_) place.session->finish_if_done();
  forget_ended();
  if (worked_) meter_.stats.round_seconds.add(seconds_between(start, meter_.now()));
  return worked_;
}

void Scheduler::check_stops() {
  for (const Place& place : places_) place.session->check_stop();
}

void Scheduler::forget_ended() {
  for (Place& place : places_) {
    if (!place.session->ended()) continue;
    worked_ = true;
    if (--place.user->sessions == 0) users_.erase(place.session->user());
  }
  std::erase_if(places_, [](const Place& place) { return place.session->ended(); });
}

// A chat template and a tokenizer can take their time, so only some a round.
void Scheduler::begin_new() {
  const Time start = meter_.now();
  for (Place& place : places_) {
    if (place.session->begun()) continue;
    if (std::exchange(worked_, true) && seconds_between(start, meter_.now()) >= kPieceBesideSpeechS) return;
    try {
      place.session->begin(media_.get(), *memory_, options_.most_live_seconds);
    } catch (const std::exception& error) {
      place.session->fail({ErrorCode::internal, error.what()});
    }
  }
}

// In the order they came: one that waits for memory is not overtaken, unless its sound has not ended yet: until then it
// has time, and those behind it may not.
void Scheduler::admit_waiting() {
  bool blocked = false;
  for (const Place& place : places_) {
    Session& session = *place.session;
    if (session.ended() || session.admitted()) continue;
    if (session.late()) {
      session.refuse_late();
    } else if (blocked || !session.begun() || !session.admit(*memory_)) {
      blocked = blocked || !session.speaking();
    } else {
      worked_ = true;
      meter_.stats.queue_seconds.add(session.waited_s());
    }
  }
}

// Who takes part in this round.
void Scheduler::plan() {
  const Time now = meter_.now();
  slack_s_ = kNever;
  bool others = false;  // who are not listened to, or have little in hand
  for (Place& place : places_) {
    Session& session = *place.session;
    if (session.resting()) continue;
    const double ahead = ahead_s(session, now);
    slack_s_ = std::min(slack_s_, ahead);
    others = others || session.encoding() || session.prefilling() ||
             (ahead == kNever ? session.prompt_run() : ahead < kPlentyS);
  }
  tight_ = slack_s_ < kTightS && tight_rounds_ < kMostTightRounds;
  tight_rounds_ = tight_ ? tight_rounds_ + 1 : 0;
  const bool somebody_hungry = slack_s_ < kPlentyS;
  for (Place& place : places_) {
    const double ahead = ahead_s(*place.session, now);
    if (tight_)
      place.turn = ahead < 2 * kTightS;
    else
      place.turn = !others || ahead == kNever || ahead < (somebody_hungry ? kAmpleS : kPlentyS);
  }
}

// Who is waited for goes first, then who is still speaking; among others it goes round between users, and who came
// first.
bool Scheduler::before(const Place& a, const Place& b) const {
  const auto rank = [](const Place& place) {
    const Session& session = *place.session;
    const int urgency = session.live() && session.awaited() ? 0 : session.listening() ? 1 : 2;
    return std::tuple(urgency, urgency == 0 ? 0 : place.user->served);
  };
  return rank(a) < rank(b);
}

void Scheduler::encode_round() {
  if (tight_) return;
  const double budget = slack_s_ == kNever ? kPieceS : kPieceBesideSpeechS;
  const Time start = meter_.now();
  std::vector<Place*> waiting;
  for (Place& place : places_) {
    if (place.session->encoding()) waiting.push_back(&place);
  }
  std::ranges::stable_sort(waiting, [&](const Place* a, const Place* b) { return before(*a, *b); });
  int steps = 0;
  for (Place* place : waiting) {
    bool stepped = false;
    while (steps < kMostEncoderSteps && (steps == 0 || seconds_between(start, meter_.now()) < budget)) {
      const Time since = meter_.now();
      try {
        if (!place->session->encode(text_)) break;
      } catch (const std::exception& error) {
        place->session->fail({ErrorCode::internal, error.what()});
      }
      count(assistant::Stage::media, 1, since);
      stepped = true;
      ++steps;
      place->session->check_stop();
      if (place->session->ended()) break;
    }
    if (stepped) place->user->served = ++turns_;
  }
}

void Scheduler::answer_round() {
  check_stops();
  text_round();
  score_round();
  check_stops();
  speech_round();
}

void Scheduler::text_round() {
  active_.clear();
  sequences_.clear();
  const Time start = meter_.now();
  for (const Place& place : places_) {
    Session& session = *place.session;
    if (!session.drawing() || !place.turn) continue;
    // Speech that has text to go on with can do without more when time is short.
    if (tight_ && session.speech() && session.speech()->ready()) continue;
    active_.push_back(&session);
    sequences_.push_back(&session.sequence());
  }
  if (!active_.empty()) {
    const tensor::Rows logits = text_.logits(sequences_);
    for (size_t i = 0; i < active_.size(); ++i) {
      active_[i]->draw({logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.cols)});
    }
  }
  std::erase_if(sequences_, [](const TextSequence* sequence) { return !sequence->token; });
  choose_prompts();
  text_.run(sequences_, pieces_);
  double rows = 0;
  for (const auto& piece : pieces_) rows += static_cast<double>(piece.rows);
  const auto tokens = static_cast<double>(active_.size());
  if (tokens + rows > 0) {
    worked_ = true;
    const double seconds = seconds_between(start, meter_.now());
    auto& decode = meter_.stats.stage(assistant::Stage::decode);
    auto& prefill = meter_.stats.stage(assistant::Stage::prefill);
    if (tokens > 0) decode.batch.add(tokens);
    if (rows > 0) prefill.batch.add(rows);
    decode.seconds += seconds * tokens / (tokens + rows);
    prefill.seconds += seconds * rows / (tokens + rows);
    meter_.stats.prompt_tokens_run += static_cast<uint64_t>(rows);
    if (rows >= kFewestPrefillRows)
      row_s_ = row_s_ == 0 ? seconds / (tokens + rows) : 0.8 * row_s_ + 0.2 * seconds / (tokens + rows);
  }
  for (Place* place : prompts_) {
    if (place->session->prompt_run()) place->session->end_prompt();
  }
}

// Whose prompts get rows in this pass: the next one, and while there is room the next.
void Scheduler::choose_prompts() {
  prompts_.clear();
  pieces_.clear();
  if (tight_) return;
  ++prompt_rounds_;
  const bool others =
      std::ranges::any_of(places_, [](const Place& place) { return place.session->drawing() || place.session->speech(); });
  int64_t waiting = 0;
  for (Place& place : places_) {
    place.asked = !place.session->prefilling();
    if (!place.asked) ++waiting;
  }
  int64_t room = prefill_rows(others, waiting);
  while (room > 0) {
    Place* place = next_prompt();
    if (!place) return;
    place->asked = true;
    TextSequence& sequence = place->session->sequence();
    if (!text_.begin_piece(sequence, pieces_)) continue;
    pieces_.push_back({&sequence, std::min(room, sequence.rows_left())});
    prompts_.push_back(place);
    room -= pieces_.back().rows;
    place->user->served = ++turns_;
  }
}

// Fewer rows use the weights less well. So it is as many as pay, but beside speech no more than its listeners have time for.
int64_t Scheduler::prefill_rows(bool others, int64_t prompts) const {
  int64_t most = others ? kPrefillRowsBesideOthers : kPrefillRows;
  if (slack_s_ == kNever) return std::min(most * prompts, kPrefillRows);
  if (row_s_ == 0) return most;
  const double piece = std::clamp(slack_s_ / 4, kPieceBesideSpeechS, kMostPieceBesideSpeechS);
  return std::clamp(static_cast<int64_t>(piece / row_s_), kFewestPrefillRows, most);
}

void Scheduler::score_round() {
  std::vector<ScoreStage::Job> jobs;
  active_.clear();
  for (const Place& place : places_) {
    Session& session = *place.session;
    if (!session.scoring() || !place.turn) continue;
    active_.push_back(&session);
    jobs.push_back({&session.sequence(), session.scoring()});
  }
  if (jobs.empty()) return;
  worked_ = true;
  const auto scored = scores_.run(jobs, prefill_rows(active_.size() < places_.size(), 1));
  for (Session* session : active_) scored ? session->take_scores() : session->fail(scored.error());
}

// Who is waited for goes first. Else it goes round between users, and of a user's prompts in turn the one that came
// first and the one with the fewest rows left: short ones need not wait for long ones. Every fourth time it is the one
// that came first of all, so all come to an end. Among equals the first: those that begin alike find its pages.
Scheduler::Place* Scheduler::next_prompt() {
  Place* best = nullptr;
  for (Place& place : places_) {
    if (place.asked) continue;
    if (!best) {
      best = &place;
      if (prompt_rounds_ % 4 == 0) return best;
      continue;
    }
    const bool shorter =
        prompt_rounds_ % 2 == 1 && place.session->sequence().rows_left() < best->session->sequence().rows_left();
    if (before(place, *best) || (!before(*best, place) && shorter)) best = &place;
  }
  return best;
}

void Scheduler::speech_round() {
  active_.clear();
  speeches_.clear();
  const Time start = meter_.now();
  bool prefilled = false;
  for (const Place& place : places_) {
    Session& session = *place.session;
    Speech* speech = session.speech();
    if (!speech || speech->done() || session.resting()) continue;
    if (const int64_t left = speech->prompt_left(); left > 0) {
      // One piece of one talker's prompt a round.
      if (tight_ || std::exchange(prefilled, true)) continue;
      const Time since = meter_.now();
      speech->prefill(prefill_rows(false, 1), speech_);
      count(assistant::Stage::speech_prefill, static_cast<double>(left - speech->prompt_left()), since);
    } else if (speech->ready() && place.turn) {
      active_.push_back(&session);
      speeches_.push_back(speech);
    }
  }
  if (active_.empty()) return;
  Speech::step(speeches_, speech_);
  for (Session* session : active_) session->take_speech();
  count(assistant::Stage::speech, static_cast<double>(active_.size()), start);
}

void Scheduler::count(assistant::Stage stage, double size, Time since) {
  worked_ = true;
  auto& stats = meter_.stats.stage(stage);
  stats.batch.add(size);
  stats.seconds += seconds_between(since, meter_.now());
}

const assistant::EngineStats& Scheduler::stats() {
  assistant::EngineStats& stats = meter_.stats;
  stats.sessions = places_.size();
  stats.live_sessions =
      static_cast<size_t>(std::ranges::count_if(places_, [](const Place& place) { return place.session->live(); }));
  const auto kv = [](const auto& pages, int64_t claimed) {
    return pages ? assistant::KvStats{pages->used_pages(), claimed, pages->most_pages()} : assistant::KvStats{};
  };
  stats.thinker = kv(memory_->thinker(), memory_->claimed_pages().thinker);
  stats.talker = kv(memory_->talker(), memory_->claimed_pages().talker);
  if (prefixes_) {
    stats.prefix_pages_asked = static_cast<uint64_t>(prefixes_->pages_asked());
    stats.prefix_pages_found = static_cast<uint64_t>(prefixes_->pages_found());
    stats.media_asked = static_cast<uint64_t>(media_->asked());
    stats.media_found = static_cast<uint64_t>(media_->found());
  }
  return stats;
}

}  // namespace calliope::engine
