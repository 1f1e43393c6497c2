#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "realtime/memory_budget.h"

namespace calliope::realtime {

using std::chrono::milliseconds;

/// How much of a conversation's items stays in memory; the oldest sounds are forgotten first.
struct ItemLimits {
  size_t items = 2000;
  size_t text_bytes = 4u << 20;
  size_t sound_samples = size_t{16000} * 600;
  size_t picture_bytes = 96u << 20;
};

/// How a conversation goes about it, and what it may cost.
struct Settings {
  std::chrono::seconds session{3600};
  ItemLimits items = {};
  size_t input_samples = size_t{16000} * 600;  ///< sound that is not committed, and one turn
  size_t outbox_bytes = 8u << 20;              ///< events a slow reader may leave waiting, and
  size_t outbox_bytes_when_full = 1u << 20;    ///< when the memory of all conversations is used up
  std::shared_ptr<MemoryBudget> memory = {};   ///< of all conversations; null: without bounds
  size_t responses_at_once = 4;
  double max_wait_s = 0;                 ///< of what the engine is asked (Request::max_wait_s)
  int default_max_tokens = 1024;         ///< of "inf"
  bool hear_while_speaking = true;       ///< the engine gets the sound while the person speaks
  milliseconds begin_after{200};         ///< of silence: the answer is begun, and told only when the turn is over
  milliseconds false_interruption{250};  ///< less speech than this did not mean to interrupt
  milliseconds backchannel{1000};        ///< less than this did not, either, when it is found to say no more than "mhm"
  milliseconds verdict{1500};            ///< how long that may take to find out
  milliseconds resume_for{2000};         ///< after its playback has ended, an answer can still go on
  milliseconds stalled_input{5000};      ///< a client that stops sending in mid-speech has said what it has to say
};

}  // namespace calliope::realtime
