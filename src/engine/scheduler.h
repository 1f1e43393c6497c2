#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/kv_memory.h"
#include "engine/prefix_cache.h"
#include "engine/session.h"
#include "engine/speech.h"
#include "engine/text_stage.h"

namespace calliope::engine {

/// Runs the open sessions, all of them one step a round: the thinker for all in one pass, with a piece of one prompt among
/// them, then talker and code predictor for all that speak. Used by one thread.
class Scheduler {
 public:
  Scheduler(const model::Model& model, std::unique_ptr<KvMemory> memory, bool share_prefixes);
  ~Scheduler();

  void add(std::unique_ptr<Session> session) { sessions_.push_back(std::move(session)); }
  size_t sessions() const { return sessions_.size(); }

  /// One round; sessions that have ended are gone afterwards.
  void step();
  /// Ends all of them with Finished{cancelled}.
  void cancel_all();

  const KvMemory& memory() const { return *memory_; }
  /// Null when nothing is shared.
  const MediaCache* media() const { return media_.get(); }
  const PrefixCache* prefixes() const { return prefixes_.get(); }

 private:
  void open_next();
  void admit_waiting();
  void text_round();
  void score_round();
  Session* next_prompt();
  void speech_round();
  void forget_ended();

  std::unique_ptr<KvMemory> memory_;
  std::unique_ptr<PrefixCache> prefixes_;
  std::unique_ptr<MediaCache> media_;
  TextStage text_;
  ScoreStage scores_;
  SpeechScratch speech_;
  std::vector<std::unique_ptr<Session>> sessions_;  // as they came
  std::vector<Session*> active_;                    // of one part of a round
  std::vector<TextSequence*> sequences_;
  std::vector<Speech*> speeches_;
  bool shortest_next_ = false;
};

}  // namespace calliope::engine
