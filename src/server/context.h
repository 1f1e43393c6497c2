#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "server/asio.h"
#include "server/client_secrets.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/spoken_answer_store.h"

namespace calliope::server {

/// The requests being answered, so that a stopping server can cancel what does not end.
class ActiveRequests {
 public:
  /// Cancels with the rest for as long as the returned handle lives.
  std::shared_ptr<void> add(std::stop_source stop) {
    const std::lock_guard lock(mutex_);
    const uint64_t key = next_++;
    sources_.emplace(key, std::move(stop));
    return std::shared_ptr<void>(this, [key](void* self) { static_cast<ActiveRequests*>(self)->remove(key); });
  }
  void cancel_all() {
    std::vector<std::stop_source> sources;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, source] : sources_) sources.push_back(source);
    }
    for (auto& source : sources) source.request_stop();
  }

 private:
  void remove(uint64_t key) {
    const std::lock_guard lock(mutex_);
    sources_.erase(key);
  }
  std::mutex mutex_;
  std::map<uint64_t, std::stop_source> sources_;
  uint64_t next_ = 0;
};

/// A share of what all bodies in memory may take together; given back when this ends.
class BodyClaim {
 public:
  BodyClaim(std::atomic<size_t>& sum, size_t bytes) : sum_(sum), bytes_(bytes), before_(sum.fetch_add(bytes)) {}
  ~BodyClaim() { sum_ -= bytes_; }
  BodyClaim(const BodyClaim&) = delete;
  BodyClaim& operator=(const BodyClaim&) = delete;
  bool within(size_t most) const { return before_ + bytes_ <= most; }

 private:
  std::atomic<size_t>& sum_;
  const size_t bytes_;
  const size_t before_;
};

/// What all connections share.
struct Context {
  Context(ServerOptions options_in, std::shared_ptr<assistant::Engine> engine_in,
          std::shared_ptr<api::MediaDecoder> decoder_in)
      : options(std::move(options_in)),
        engine(std::move(engine_in)),
        decoder(std::move(decoder_in)),
        models(engine->model_names()),
        spoken_answers(options.spoken_answers_kept),
        workers(static_cast<size_t>(options.worker_threads)) {}

  const ServerOptions options;
  const std::shared_ptr<assistant::Engine> engine;
  const std::shared_ptr<api::MediaDecoder> decoder;
  const std::vector<std::string> models;
  const int64_t started_s =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  SpokenAnswerStore spoken_answers;
  ClientSecrets client_secrets;
  Metrics metrics;
  ActiveRequests active;
  asio::thread_pool workers;
  std::atomic<bool> stopping = false;
  std::atomic<size_t> bodies_bytes = 0;
  const std::shared_ptr<realtime::MemoryBudget> realtime_memory =
      std::make_shared<realtime::MemoryBudget>(options.realtime_memory_bytes);
  std::atomic<size_t> transcribed_bytes = 0;  ///< of all sounds being transcribed
};

/// Runs `work` on the worker threads and comes back with what it returned.
template <class Work>
asio::awaitable<std::invoke_result_t<Work>> on_worker(Context& context, Work work) {
  co_return co_await asio::co_spawn(
      context.workers.get_executor(),
      [](Work task) -> asio::awaitable<std::invoke_result_t<Work>> { co_return task(); }(std::move(work)),
      asio::use_awaitable);
}

}  // namespace calliope::server
