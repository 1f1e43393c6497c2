#pragma once

#include <memory>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "engine/kv_memory.h"
#include "model/model.h"

namespace calliope::engine {

struct EngineOptions {
  std::string model_name = "calliope";
  int max_queued = 64;    ///< requests that wait; one more is refused with ErrorCode::unavailable
  int max_sessions = 40;  ///< requests answered at once
  double max_wait_s = 0;  ///< of requests that do not say how long they may wait for place and memory; 0: for ever
  KvOptions kv = {};      ///< memory for their keys and values; a request that does not fit waits for others to end
  bool share_prefixes = true;  ///< keep what was run, for prompts that begin alike
  int64_t most_live_seconds =
      120;  ///< of a sound that is still being recorded: there is memory for it from its beginning on
};

/// Answers requests with one model. One thread computes, round by round (Scheduler): no long prompt, picture or answer
/// holds up another for longer than a round, nor does a stop have to wait longer.
class Engine final : public assistant::Engine {
 public:
  Engine(std::shared_ptr<const model::Model> model, EngineOptions options);
  /// Whether an engine with such memory can be made: too_large when it does not hold the model's smallest sequence.
  static Result<void> check_memory(const model::Model& model, const KvOptions& options);
  /// Ends open requests with Finished{cancelled}.
  ~Engine() override;

  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop) override;
  assistant::EngineStats stats() const override;
  std::vector<std::string> model_names() const override;
  std::vector<std::string> voices() const override;
  assistant::TranscriptionStyle transcription_style() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace calliope::engine
