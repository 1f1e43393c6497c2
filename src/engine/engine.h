#pragma once

#include <memory>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "model/model.h"

namespace calliope::engine {

struct EngineOptions {
  std::string model_name = "calliope";
  int max_queued = 64;    ///< requests that wait; one more is refused with ErrorCode::unavailable
  int max_sessions = 8;   ///< requests answered at once, each with its own KV cache
};

/// Answers requests with one model. One thread computes; the open sessions take steps in turn, so a long answer never
/// holds up a short one for longer than a step.
class Engine final : public assistant::Engine {
 public:
  Engine(std::shared_ptr<const model::Model> model, EngineOptions options);
  /// Ends open requests with Finished{cancelled}.
  ~Engine() override;

  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop) override;
  std::vector<std::string> model_names() const override;
  std::vector<std::string> voices() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace calliope::engine
