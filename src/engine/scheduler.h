#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kv_memory.h"
#include "engine/meter.h"
#include "engine/prefix_cache.h"
#include "engine/session.h"
#include "engine/speech.h"
#include "engine/text_stage.h"

namespace calliope::engine {

struct SchedulerOptions {
  bool share_prefixes = true;
  int64_t most_live_seconds = 120;  ///< of a sound that is still being recorded
};

/// Runs the open sessions round by round: a piece of the encoders' work, a pass of the thinker with a token of each
/// answer and pieces of prompts, then a frame of each answer that is spoken. Who takes part in a round is decided
/// by the listeners' clocks: when somebody is about to run dry, those who are; else everybody, but none who has plenty
/// in hand while others have work. Used by one thread.
class Scheduler {
 public:
  Scheduler(const model::Model& model, std::unique_ptr<KvMemory> memory, const SchedulerOptions& options,
            Meter meter = {});
  ~Scheduler();

  /// As Session::attach.
  void add(std::unique_ptr<Session> session, Time asked, bool speaking);
  void add(std::unique_ptr<Session> session) { add(std::move(session), meter_.now(), true); }
  size_t sessions() const { return places_.size(); }
  /// How many of them are this user's.
  int sessions_of(const std::string& user) const;
  /// A sound of one of them is still being recorded.
  bool listening() const;

  /// One round; sessions that have ended are gone afterwards. False: there was nothing to do, until somebody speaks or
  /// stops.
  bool step();
  /// Ends all of them with Finished{cancelled}.
  void cancel_all();

  /// Counters, and how things stand after the last round.
  const assistant::EngineStats& stats();
  Time now() const { return meter_.now(); }

  const KvMemory& memory() const { return *memory_; }
  /// Null when nothing is shared.
  const MediaCache* media() const { return media_.get(); }
  const PrefixCache* prefixes() const { return prefixes_.get(); }

 private:
  // What a user's sessions have had, to share between users.
  struct User {
    int sessions = 0;
    uint64_t served = 0;  // the number of the last turn
  };
  struct Place {
    std::unique_ptr<Session> session;
    User* user = nullptr;
    bool turn = true;    // takes part in this round
    bool asked = false;  // whether its prompt is to go on in this pass
  };

  void check_stops();
  void plan();
  void begin_new();
  void admit_waiting();
  void encode_round();
  void answer_round();
  void text_round();
  void score_round();
  void speech_round();
  void choose_prompts();
  Place* next_prompt();
  bool before(const Place& a, const Place& b) const;
  int64_t prefill_rows(bool others, int64_t prompts) const;
  void forget_ended();
  void count(assistant::Stage stage, double size, Time since);

  Meter meter_;
  SchedulerOptions options_;
  std::unique_ptr<KvMemory> memory_;
  std::unique_ptr<PrefixCache> prefixes_;
  std::unique_ptr<MediaCache> media_;
  TextStage text_;
  ScoreStage scores_;
  SpeechScratch speech_;
  std::map<std::string, User> users_;  // who have sessions
  std::vector<Place> places_;          // as they came
  // Of one part of a round.
  std::vector<Session*> active_;
  std::vector<TextSequence*> sequences_;
  std::vector<Place*> prompts_;
  std::vector<TextStage::PromptPiece> pieces_;
  std::vector<Speech*> speeches_;

  bool worked_ = false;   // this round
  bool tight_ = false;    // somebody is about to run dry
  double slack_s_ = 0;    // until somebody does
  int tight_rounds_ = 0;  // in a row
  uint64_t turns_ = 0, prompt_rounds_ = 0;
  double row_s_ = 0;  // what a prompt's row costs
};

}  // namespace calliope::engine
