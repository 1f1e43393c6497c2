#include "engine/engine.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "engine/session.h"

namespace calliope::engine {

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
  std::vector<std::unique_ptr<Session>> sessions;  // touched by the engine thread alone
  std::jthread thread;                             // last: it uses everything above

  void run(const std::stop_token& ending);
  void admit(const std::stop_token& ending);
};

// Moves waiting requests into free places; sleeps when there is nothing to do at all.
void Engine::State::admit(const std::stop_token& ending) {
  std::unique_lock lock(mutex);
  if (sessions.empty()) wake.wait(lock, ending, [&] { return !queue.empty(); });
  while (!queue.empty() && sessions.size() < static_cast<size_t>(options.max_sessions)) {
    Waiting next = std::move(queue.front());
    queue.pop_front();
    sessions.push_back(std::make_unique<Session>(model, std::move(next.request), std::move(next.sink), std::move(next.stop)));
  }
}

void Engine::State::run(const std::stop_token& ending) {
  while (!ending.stop_requested()) {
    admit(ending);
    std::erase_if(sessions, [](const std::unique_ptr<Session>& session) {
      try {
        return !session->step();
      } catch (const std::exception& error) {
        session->fail({ErrorCode::internal, error.what()});
        return true;
      }
    });
  }
  for (const auto& session : sessions) session->cancel();
  sessions.clear();
  std::lock_guard lock(mutex);
  for (const Waiting& waiting : queue) waiting.sink->on_event(assistant::Finished{assistant::FinishReason::cancelled, {}});
  queue.clear();
}

Engine::Engine(std::shared_ptr<const model::Model> model, EngineOptions options) : state_(std::make_unique<State>()) {
  state_->model = std::move(model);
  state_->options = std::move(options);
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& ending) { state->run(ending); });
}

Engine::~Engine() = default;

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
