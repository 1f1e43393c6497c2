// A client of /v1/realtime for load drivers and tests: one socket, a microphone that runs at real speed, and the clock of a
// loudspeaker. All of it runs on one thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace calliope::bench {

namespace asio = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

constexpr int kRate = 24000;
constexpr std::chrono::milliseconds kPiece{20};

double ms_between(Time from, Time to);
asio::awaitable<void> sleep_for(std::chrono::milliseconds time);

/// Where the server is.
struct Server {
  std::string host = "127.0.0.1";
  std::string port = "8080";
  std::string key;
};
Result<Server> parse_url(std::string_view url);

/// The server's /metrics, by name with labels. Empty when they cannot be read.
using Metrics = std::map<std::string, double>;
asio::awaitable<Metrics> read_metrics(Server server);
/// One of them; NaN when it is not there.
asio::awaitable<double> read_metric(Server server, std::string name);

/// A recording, cut into the messages that carry it.
struct Clip {
  std::string name;
  std::vector<std::string> messages;  ///< one input_audio_buffer.append for every kPiece
  size_t speech_begin = 0;            ///< the first piece with speech in it
  size_t speech_end = 0;              ///< the last one
  double seconds = 0;
};
/// Any sound file FFmpeg reads. Silence around the speech is cut to 100 ms.
Result<Clip> read_clip(const std::string& path);
/// kPiece of silence.
const std::string& silence_message();

/// One socket to /v1/realtime.
class LiveClient : public std::enable_shared_from_this<LiveClient> {
 public:
  using Handler = std::function<void(const json::object& event)>;
  LiveClient(asio::io_context& io, Handler handler);

  /// Connects and reads events, which go to the handler, until the socket closes. Keeps itself alive. False when it could
  /// not be opened; `why` says what came instead.
  asio::awaitable<bool> run(Server server);
  /// Sends in order; nothing when it is not open.
  void send(std::string message);
  /// Closes the connection with a close frame, or as if the machine had lost power.
  void close(bool politely);
  bool open() const { return open_; }
  const std::string& why() const { return why_; }
  uint16_t close_code() const { return socket_.reason().code; }

 private:
  asio::awaitable<void> write_waiting();

  boost::beast::websocket::stream<boost::beast::tcp_stream> socket_;
  Handler handler_;
  std::deque<std::string> waiting_;
  bool writing_ = false;
  bool open_ = false;
  bool polite_close_ = false;
  std::string why_;
};

/// Sends a piece every 20 ms by the clock: of a clip when there is something to say, else of silence.
class Microphone {
 public:
  explicit Microphone(LiveClient& client) : client_(client) {}

  /// Until the client closes.
  asio::awaitable<void> run();
  void say(const Clip& clip);
  bool speaking() const { return clip_ != nullptr; }

  Time speech_began{};  ///< when the first piece with speech of the clip was sent; zero before
  Time speech_ended{};  ///< the same of the last one
  double late_ms = 0;   ///< the most that a piece was late: this driver itself is overloaded when it is much

 private:
  LiveClient& client_;
  const Clip* clip_ = nullptr;
  size_t next_ = 0;
};

/// When a person hears what: begins a little after the first sound came, and stands still when nothing more is there.
class Loudspeaker {
 public:
  explicit Loudspeaker(double lead_ms) : lead_ms_(lead_ms) {}

  /// Sound of an answer came.
  void push(const std::string& answer, int64_t samples, Time now);
  bool playing(Time now) const { return now < end_; }
  Time end() const { return end_; }
  void halt(Time now) { end_ = std::min(end_, now); }

  std::vector<double> gaps_ms;  ///< one for every time it ran dry in the middle of an answer
  double seconds = 0;           ///< of sound that came

 private:
  const double lead_ms_;
  std::string answer_;
  Time end_{};
};

}  // namespace calliope::bench
