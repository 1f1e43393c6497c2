#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "assistant/engine_stats.h"
#include "assistant/event.h"
#include "assistant/request.h"
#include "assistant/transcription.h"
#include "base/result.h"

namespace calliope::assistant {

/// Takes the events of one request. Called from the engine's thread: must not block and must not throw.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void on_event(Event event) = 0;
  /// There is much that nobody has taken yet: what is read aloud rests until there is room. From the engine's thread, cheap.
  virtual bool full() const { return false; }
};

/// Whoever answers requests: the engine, or a stand-in for it.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Queues a request; its events go to `sink`, which the engine keeps until the last one. `stop` cancels: it is read
  /// before every step, and the request ends with Finished{cancelled}. Errors: unavailable when the queue is full
  /// or it would have to wait for longer than it may
  /// (Error::retry_after_s says when to come again), too_large when the prompt does not fit, unsupported when the model
  /// lacks a part.
  virtual Result<void> submit(Request request, std::shared_ptr<Sink> sink, std::stop_token stop) = 0;
  /// Counters and gauges, cheap enough to ask every second. From any thread.
  virtual EngineStats stats() const { return {}; }
  /// Names the model answers to; the first is its own.
  virtual std::vector<std::string> model_names() const = 0;
  /// Voices the model can speak with.
  virtual std::vector<std::string> voices() const = 0;
  /// How the model is asked for a transcript.
  virtual TranscriptionStyle transcription_style() const { return {}; }
};

}  // namespace calliope::assistant
