#include "engine/engine.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "engine/scheduler.h"
#include "engine/session.h"

namespace calliope::engine {

// The queue, and the thread that takes from it.
struct Engine::State {
  std::shared_ptr<const model::Model> model;
  EngineOptions options;
  std::mutex mutex;
  std::condition_variable_any wake;
  struct Waiting {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
  };
  std::deque<Waiting> queue;
  std::unique_ptr<Scheduler> scheduler;  // touched by the engine thread alone
  std::jthread thread;                   // last: it uses everything above

  void run(const std::stop_token& ending);
  void admit(const std::stop_token& ending);
};

// Moves waiting requests into free places; sleeps when there is nothing to do at all.
void Engine::State::admit(const std::stop_token& ending) {
  std::unique_lock lock(mutex);
  if (scheduler->sessions() == 0) wake.wait(lock, ending, [&] { return !queue.empty(); });
  while (!queue.empty() && scheduler->sessions() < static_cast<size_t>(options.max_sessions)) {
    Waiting next = std::move(queue.front());
    queue.pop_front();
    scheduler->add(std::make_unique<Session>(model, std::move(next.request), std::move(next.sink), std::move(next.stop)));
  }
}

void Engine::State::run(const std::stop_token& ending) {
  while (!ending.stop_requested()) {
    admit(ending);
    scheduler->step();
  }
  scheduler->cancel_all();
  std::lock_guard lock(mutex);
  for (const Waiting& waiting : queue) waiting.sink->on_event(assistant::Finished{assistant::FinishReason::cancelled, {}});
  queue.clear();
}

Engine::Engine(std::shared_ptr<const model::Model> model, EngineOptions options) : state_(std::make_unique<State>()) {
  state_->model = std::move(model);
  state_->options = std::move(options);
  auto memory = KvMemory::make(*state_->model, state_->options.kv);
  CHECK(memory);  // who takes a budget from outside asks check_memory first
  state_->scheduler = std::make_unique<Scheduler>(*state_->model, std::move(*memory), state_->options.share_prefixes);
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& ending) { state->run(ending); });
}

Engine::~Engine() = default;

Result<void> Engine::check_memory(const model::Model& model, const KvOptions& options) {
  TRY_VOID(KvMemory::make(model, options));
  return {};
}

Result<void> Engine::submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop) {
  TRY_VOID(check_request(*state_->model, request));
  {
    std::lock_guard lock(state_->mutex);
    if (state_->queue.size() >= static_cast<size_t>(state_->options.max_queued)) {
      return fail(ErrorCode::unavailable, "The server is busy: " + std::to_string(state_->queue.size()) +
                                              " requests are waiting. Try again in a few seconds.");
    }
    state_->queue.push_back({std::move(request), std::move(sink), std::move(stop)});
  }
  state_->wake.notify_one();
  return {};
}

std::vector<std::string> Engine::model_names() const { return {state_->options.model_name}; }

std::vector<std::string> Engine::voices() const { return voice_names(*state_->model); }

}  // namespace calliope::engine
