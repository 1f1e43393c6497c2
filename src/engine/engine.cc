#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "engine/scheduler.h"
#include "engine/session.h"
#include "engine/waiting_queue.h"

namespace calliope::engine {
namespace {

// Wakes the engine's thread: a request came or was stopped, somebody has spoken on. Whoever rings may outlive the
// engine.
class Bell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    wake_.notify_one();
  }
  // Until it has rung since the last time, or `ending`, or a second has passed.
  void wait(const std::stop_token& ending) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, ending, std::chrono::seconds(1), [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool rung_ = false;
};

using StopBell = std::stop_callback<std::function<void()>>;

}  // namespace

// The queue, and the thread that takes from it.
struct Engine::State {
  State(std::shared_ptr<const model::Model> served, EngineOptions asked)
      : model(std::move(served)), options(std::move(asked)), queue(static_cast<size_t>(options.max_queued)) {}

  std::shared_ptr<const model::Model> model;
  EngineOptions options;
  std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  std::mutex mutex;  // of what follows
  WaitingQueue queue;
  uint64_t submitted = 0, refused = 0;
  uint64_t cancelled = 0, late = 0;  // while they waited
  double seconds_an_end = 1;         // between the ends of two answers, when there is much to do
  Time last_end{};
  assistant::EngineStats published;

  std::unique_ptr<Scheduler> scheduler;  // touched by the engine thread alone
  std::jthread thread;                   // last: it uses everything above

  void run(const std::stop_token& ending);
  void admit();
  void publish();
  double pace_s() const;
  double wait_s(const assistant::Request& request) const;
};

// Moves waiting requests into free places.
void Engine::State::admit() {
  std::vector<WaitingQueue::Waiting> stopped, too_late_now;
  double retry_s = 0;
  {
    const std::lock_guard lock(mutex);
    stopped = queue.take_stopped();
    cancelled += stopped.size();
    too_late_now = queue.take_late(scheduler->now());
    late += too_late_now.size();
    retry_s = double(queue.size() + 1) * pace_s();
    while (auto next = queue.pop(scheduler->sessions(), static_cast<size_t>(options.max_sessions),
                                 [this](const std::string& user) { return scheduler->sessions_of(user); })) {
      auto session =
          std::make_unique<Session>(model, std::move(next->request), std::move(next->sink), std::move(next->stop));
      session->hold(std::move(next->held));
      scheduler->add(std::move(session), next->asked, next->speaking != nullptr);
    }
  }
  for (const auto& waiting : stopped)
    waiting.sink->on_event(assistant::Finished{assistant::FinishReason::cancelled, {}});
  for (const auto& waiting : too_late_now) {
    const std::string waited = seconds_text(waiting.request.max_wait_s);
    waiting.sink->on_event(assistant::Failed{too_late("the request has waited " + waited + " s, as long as it may.", retry_s)});
  }
}

void Engine::State::publish() {
  const assistant::EngineStats& stats = scheduler->stats();
  const std::lock_guard lock(mutex);
  published = stats;
}

void Engine::State::run(const std::stop_token& ending) {
  while (!ending.stop_requested()) {
    admit();
    const size_t before = scheduler->sessions();
    const bool worked = scheduler->step();
    publish();
    if (const size_t ended = before - scheduler->sessions(); ended > 0) {
      const Time now = scheduler->now();
      const std::lock_guard lock(mutex);
      seconds_an_end = 0.8 * seconds_an_end + 0.2 * seconds_between(last_end, now) / double(ended);
      last_end = now;
    }
    if (before == 0) {
      const std::lock_guard lock(mutex);
      last_end = scheduler->now();
    }
    if (!worked) bell->wait(ending);
  }
  scheduler->cancel_all();
  std::vector<WaitingQueue::Waiting> left;
  {
    const std::lock_guard lock(mutex);
    left = queue.take_all();
  }
  for (const auto& waiting : left) waiting.sink->on_event(assistant::Finished{assistant::FinishReason::cancelled, {}});
}

// From the end of one answer to that of the next, as it has been lately.
double Engine::State::pace_s() const {
  return std::max(seconds_an_end, seconds_between(last_end, std::chrono::steady_clock::now()));
}

// Until it has a place.
double Engine::State::wait_s(const assistant::Request& request) const {
  const auto places = static_cast<size_t>(options.max_sessions - (request.live ? 0 : options.max_sessions / 8));
  const size_t before = queue.before(request.live) + published.sessions;
  return before < places ? 0 : double(before - places + 1) * pace_s();
}

Engine::Engine(std::shared_ptr<const model::Model> model, EngineOptions options)
    : state_(std::make_unique<State>(std::move(model), std::move(options))) {
  auto memory = KvMemory::make(*state_->model, state_->options.kv);
  CHECK(memory);  // who takes a budget from outside asks check_memory first
  state_->scheduler =
      std::make_unique<Scheduler>(*state_->model, std::move(*memory),
                                  SchedulerOptions{.share_prefixes = state_->options.share_prefixes,
                                                   .most_live_seconds = state_->options.most_live_seconds});
  state_->last_end = state_->scheduler->now();
  state_->publish();
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& ending) { state->run(ending); });
}

Engine::~Engine() = default;

Result<void> Engine::check_memory(const model::Model& model, const KvOptions& options) {
  TRY_VOID(KvMemory::make(model, options));
  return {};
}

Result<void> Engine::submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink, std::stop_token stop) {
  TRY_VOID(check_request(*state_->model, request));
  const assistant::LiveSoundPart live = live_sound(request);
  const auto ring = [bell = state_->bell] { bell->ring(); };
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->queue.has_room_for(request.user)) {
      ++state_->refused;
      return std::unexpected(too_late(std::to_string(state_->queue.size()) + " requests are waiting.",
                                      double(state_->queue.size()) * state_->pace_s()));
    }
    if (request.max_wait_s == 0) request.max_wait_s = state_->options.max_wait_s;
    // While somebody speaks he does not wait yet.
    const bool waits = request.max_wait_s > 0 && (!live || live->size().ended);
    if (const double wait_s = state_->wait_s(request); waits && wait_s > request.max_wait_s) {
      ++state_->refused;
      return std::unexpected(too_late("this request would wait about " + seconds_text(wait_s) + " s and may wait " +
                                          seconds_text(request.max_wait_s) + " s.",
                                      wait_s - request.max_wait_s));
    }
    ++state_->submitted;
    if (live) live->attach(ring);
    // Registered before the engine's thread can see the request; a stop that was requested already rings at once.
    auto held = std::make_shared<StopBell>(stop, ring);
    state_->queue.push(std::move(request), std::move(sink), std::move(stop), std::move(held), std::chrono::steady_clock::now());
  }
  ring();
  return {};
}

assistant::EngineStats Engine::stats() const {
  const std::lock_guard lock(state_->mutex);
  assistant::EngineStats stats = state_->published;
  stats.queued = state_->queue.size();
  stats.submitted = state_->submitted;
  stats.refused = state_->refused;
  stats.cancelled += state_->cancelled;
  stats.failed[static_cast<size_t>(ErrorCode::unavailable)] += state_->late;
  return stats;
}

std::vector<std::string> Engine::model_names() const { return {state_->options.model_name}; }

std::vector<std::string> Engine::voices() const { return voice_names(*state_->model); }

assistant::TranscriptionStyle Engine::transcription_style() const {
  const model::GenerationConfig& generation = state_->model->generation;
  assistant::TranscriptionStyle style;
  if (!generation.transcription_prompt.empty()) style.question = generation.transcription_prompt;
  if (generation.transcription_seconds > 0) style.most_seconds = generation.transcription_seconds;
  return style;
}

}  // namespace calliope::engine
