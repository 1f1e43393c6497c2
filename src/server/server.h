#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/chat_request.h"
#include "assistant/engine.h"
#include "base/result.h"
#include "realtime/settings.h"
#include "server/log_format.h"

namespace calliope::server {

/// Where to listen, whom to admit, and what one client may cost.
struct ServerOptions {
  std::string host = "127.0.0.1";          ///< a literal IPv4 or IPv6 address, or localhost
  uint16_t port = 8080;                    ///< 0: any free one
  std::vector<std::string> api_keys = {};  ///< empty: no key needed
  std::string metrics_key = {};            ///< needed for /metrics; empty: one of api_keys, if there are any
  std::string allow_origin = {};           ///< Access-Control-Allow-Origin; empty: no cross-origin use
  bool handle_signals = false;             ///< SIGINT and SIGTERM stop the server, a second one at once
  LogFormat log_format = LogFormat::text;  ///< of all servers of this process
  int io_threads = 1;
  int worker_threads = 2;  ///< for parsing, decoding and packing

  size_t body_bytes = 64u << 20;
  size_t all_bodies_bytes = 512u << 20;  ///< of all requests being read or parsed
  size_t all_transcribed_bytes = 256u << 20;  ///< samples of all sounds being transcribed
  uint32_t header_bytes = 32u << 10;
  int connections = 1024;
  size_t stream_queue_bytes = 4u << 20;  ///< events a slow reader may leave waiting before its request is cancelled
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{120'000};
  std::chrono::milliseconds idle_timeout{60'000};   ///< between the requests of one connection
  std::chrono::milliseconds write_timeout{30'000};  ///< without any progress
  std::chrono::milliseconds heartbeat{10'000};      ///< a stream sends a comment when nothing else came for so long
  std::chrono::milliseconds drain{60'000};          ///< what requests get to end when the server stops
  std::chrono::seconds spoken_answers_kept{3600};
  api::ChatLimits limits = {};
  realtime::Settings realtime = {};  ///< of /v1/realtime's sessions
  size_t realtime_memory_bytes = size_t{1} << 30;  ///< what all of them together may hold
};

/// The HTTP server: OpenAI's chat completions, transcriptions, models and realtime sessions, /healthz, /readyz, /metrics and the page. One line of log a request, to stderr.
class Server {
 public:
  /// Binds and listens. Errors: io, when the address cannot be had.
  static Result<std::unique_ptr<Server>> open(ServerOptions options, std::shared_ptr<assistant::Engine> engine,
                                              std::shared_ptr<api::MediaDecoder> decoder);
  ~Server();

  /// The port in use.
  uint16_t port() const;
  /// http://host:port
  std::string url() const;
  /// Serves until stop() or a signal, then ends what is in flight. Call once.
  void run();
  /// Makes run() return. Any thread, any number of times.
  void stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace calliope::server
