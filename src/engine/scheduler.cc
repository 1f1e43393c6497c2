#include "engine/scheduler.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace calliope::engine {
namespace {

// Rows of a prompt that go into one pass: so many that the weights are well used, so few that others soon get their turn.
constexpr int64_t kPrefillRows = 256;
constexpr int64_t kPrefillRowsBesideOthers = 64;
constexpr size_t kMediaBytes = size_t{64} << 20;  // features of pictures and sounds that may come again

}  // namespace

Scheduler::Scheduler(const model::Model& model, std::unique_ptr<KvMemory> memory, bool share_prefixes)
    : memory_(std::move(memory)), prefixes_(share_prefixes ? std::make_unique<PrefixCache>(memory_->thinker()) : nullptr),
      media_(share_prefixes ? std::make_unique<MediaCache>(kMediaBytes) : nullptr), text_(model, prefixes_.get()), scores_(model) {}

Scheduler::~Scheduler() { cancel_all(); }

void Scheduler::cancel_all() {
  for (const auto& session : sessions_) session->cancel();
  sessions_.clear();
}

void Scheduler::step() {
  for (const auto& session : sessions_) session->check_stop();
  forget_ended();
  try {
    open_next();
    admit_waiting();
    text_round();
    score_round();
    speech_round();
  } catch (const std::exception& error) {
    // What was thrown may have left any of them half way.
    for (const auto& session : sessions_) {
      if (session->opened()) session->fail({ErrorCode::internal, error.what()});
    }
  }
  for (const auto& session : sessions_) session->finish_if_done();
  forget_ended();
}

void Scheduler::forget_ended() {
  std::erase_if(sessions_, [](const auto& session) { return session->ended(); });
}

// Media are encoded here, so one a round.
void Scheduler::open_next() {
  const auto next = std::ranges::find_if(sessions_, [](const auto& session) { return !session->opened(); });
  if (next == sessions_.end()) return;
  try {
    (*next)->open(media_.get());
  } catch (const std::exception& error) {
    (*next)->fail({ErrorCode::internal, error.what()});
  }
}

// In the order they came: one that waits for memory is not overtaken.
void Scheduler::admit_waiting() {
  for (const auto& session : sessions_) {
    if (session->ended() || session->admitted()) continue;
    if (!session->opened() || !session->admit(*memory_)) return;
  }
}

void Scheduler::text_round() {
  active_.clear();
  sequences_.clear();
  for (const auto& session : sessions_) {
    if (!session->drawing()) continue;
    active_.push_back(session.get());
    sequences_.push_back(&session->sequence());
  }
  if (!active_.empty()) {
    const tensor::Rows logits = text_.logits(sequences_);
    for (size_t i = 0; i < active_.size(); ++i) {
      active_[i]->draw({logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.cols)});
    }
  }
  std::erase_if(sequences_, [](const TextSequence* sequence) { return !sequence->token; });
  Session* prefilling = next_prompt();
  const bool others = std::ranges::any_of(sessions_, [](const auto& session) { return session->drawing() || session->speech(); });
  text_.run(sequences_, prefilling ? &prefilling->sequence() : nullptr, others ? kPrefillRowsBesideOthers : kPrefillRows);
  if (prefilling && !prefilling->prefilling()) prefilling->end_prompt();
}

void Scheduler::score_round() {
  std::vector<ScoreStage::Job> jobs;
  active_.clear();
  for (const auto& session : sessions_) {
    if (!session->scoring()) continue;
    active_.push_back(session.get());
    jobs.push_back({&session->sequence(), session->scoring()});
  }
  if (jobs.empty()) return;
  const auto scored = scores_.run(jobs, active_.size() < sessions_.size() ? kPrefillRowsBesideOthers : kPrefillRows);
  for (Session* session : active_) scored ? session->take_scores() : session->fail(scored.error());
}

// In turn the prompt that came first and the one with the fewest rows left: short ones need not wait for long ones, and
// long ones come to an end. Among equals the first: those that begin alike find its pages.
Session* Scheduler::next_prompt() {
  active_.clear();
  for (const auto& session : sessions_) {
    if (session->prefilling()) active_.push_back(session.get());
  }
  if (active_.empty()) return nullptr;
  shortest_next_ = !shortest_next_;
  return shortest_next_ ? *std::ranges::min_element(active_, {}, [](Session* session) { return session->sequence().rows_left(); })
                        : active_.front();
}

void Scheduler::speech_round() {
  active_.clear();
  speeches_.clear();
  bool prefilled = false;
  for (const auto& session : sessions_) {
    Speech* speech = session->speech();
    if (!speech || session->ended()) continue;
    if (speech->prompt_left() > 0) {
      // One piece of one talker's prompt a round.
      if (!std::exchange(prefilled, true)) speech->prefill(kPrefillRows, speech_);
    } else if (speech->ready()) {
      active_.push_back(session.get());
      speeches_.push_back(speech);
    }
  }
  Speech::step(speeches_, speech_);
  for (Session* session : active_) session->take_speech();
}

}  // namespace calliope::engine
