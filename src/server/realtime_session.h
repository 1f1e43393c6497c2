#pragma once

#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/realtime_types.h"
#include "realtime/conversation.h"
#include "server/context.h"

namespace calliope::server {

/// Takes only so much at a time from one client; what comes faster is read more slowly.
class FloodGate {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr double kEventsPerSecond = 200, kMostEvents = 1000;
  static constexpr double kBytesPerSecond = 1 << 20, kMostBytes = 16 << 20;

  explicit FloodGate(Clock::time_point now) : then_(now) {}
  /// Counts an event; how long to wait before the next one is read.
  std::chrono::milliseconds take(size_t bytes, Clock::time_point now);

 private:
  double events_ = kMostEvents, bytes_ = kMostBytes;
  Clock::time_point then_;
};

/// One WebSocket of /v1/realtime: frames to events and back around a realtime::Conversation. All of it runs on the
/// stream's strand.
class RealtimeSession : public std::enable_shared_from_this<RealtimeSession> {
 public:
  static constexpr size_t kMostEventBytes = 15u << 20;

  struct Setup {
    api::realtime::Session session;
    api::realtime::Dialect dialect = api::realtime::Dialect::ga;
    std::string user;         ///< whom the machine is shared fairly with
    double max_wait_s = 0;    ///< of every answer
    std::string subprotocol;  ///< to answer with; empty: none
    std::string request_id;
  };
  struct Summary {
    std::string outcome = "client_gone";
    size_t bytes_in = 0, bytes_out = 0;
  };

  RealtimeSession(beast::tcp_stream stream, std::shared_ptr<Context> context, Setup setup);

  /// Answers the upgrade and serves until either side has had enough.
  asio::awaitable<Summary> run(const http::request<http::string_body>& upgrade);
  /// On the strand: no new answers; closes when those that run are told.
  void drain();

 private:
  using Clock = std::chrono::steady_clock;
  using Stream = beast::websocket::stream<beast::tcp_stream, false>;

  asio::awaitable<void> read();
  asio::awaitable<bool> read_event(std::string& event, bool& too_large);
  asio::awaitable<void> take(std::string event);
  asio::awaitable<bool> slow_down(std::chrono::milliseconds wait);
  asio::awaitable<void> write();
  void count(const api::realtime::ServerEvent& event);
  void poll();
  void settle();
  void hang_up();

  Stream stream_;
  const std::shared_ptr<Context> context_;
  const Setup setup_;
  std::unique_ptr<realtime::Conversation> conversation_;
  beast::flat_buffer in_;
  std::optional<BodyClaim> claim_;
  FloodGate gate_;
  Clock::time_point complained_;  ///< about a flood
  asio::steady_timer due_;        ///< of the conversation's deadline
  asio::steady_timer more_;       ///< stands in for a condition variable: there is something to write
  std::optional<Clock::time_point> armed_;
  uint64_t events_out_ = 0;
  bool writing_ = false;
  bool gone_ = false;
  Summary summary_;
};

}  // namespace calliope::server
