// Whatever bytes follow the upgrade of /v1/realtime: Beast's stream over a socket pair, a real session and a scripted
// engine. The session never crashes, what it sends is well-formed, and when the client has gone it ends.
// An input begins with a byte: even, and each frame is a first byte, two bytes of length and a payload, sent with a
// correct header and mask; odd, and the bytes are sent as they are.
#define BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_BEAST_SEPARATE_COMPILATION
#define BOOST_ASIO_NO_DEPRECATED

#include <sys/socket.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <string>

#include "base/check.h"
#include "server/asio.h"
#include "server/context.h"
#include "server/realtime_session.h"

namespace {

using namespace calliope;
using namespace calliope::server;

/// Answers when told to, on the same thread.
class TurnedEngine : public assistant::Engine {
 public:
  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink,
                      std::stop_token stop) override {
    if (++submitted_ % 8 == 0) return std::unexpected(Error{ErrorCode::unavailable, "The queue is full.", "", 7});
    open_.push_back({std::move(request), std::move(sink), std::move(stop)});
    return {};
  }
  std::vector<std::string> model_names() const override { return {"scripted"}; }
  std::vector<std::string> voices() const override { return {"default"}; }

  /// One event of every open request.
  void turn() {
    std::list<Open> open;
    open.swap(open_);  // a sink may lead to another request
    open.remove_if([this](Open& one) { return step(one); });
    open_.splice(open_.begin(), open);
  }
  void forget() {
    for (Open& one : open_) one.sink->on_event(assistant::Finished{assistant::FinishReason::cancelled, {}});
    open_.clear();
    submitted_ = 0;
  }

 private:
  struct Open {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
    int steps = 0;
  };
  /// True when it has ended.
  static bool step(Open& one) {
    using namespace assistant;
    if (one.stop.stop_requested()) return one.sink->on_event(Finished{FinishReason::cancelled, {}}), true;
    for (const Part& part : one.request.turns.back().parts) {
      const auto* live = std::get_if<LiveSoundPart>(&part);
      if (live != nullptr && !(*live)->size().ended) return false;
    }
    if (!one.request.choices.empty()) {
      one.sink->on_event(Scored{std::vector<double>(one.request.choices.size(), -0.1)});
      return one.sink->on_event(Finished{}), true;
    }
    switch (one.steps++) {
      case 0: one.sink->on_event(TextDelta{"Well, "}); return false;
      case 1:
        if (one.request.speak) one.sink->on_event(AudioDelta{std::vector<float>(2400, 0.1f)});
        one.sink->on_event(SpokenMark{5, 2400});
        return false;
      case 2:
        if (one.request.tools.empty()) return one.sink->on_event(TextDelta{"yes."}), false;
        one.sink->on_event(ToolCalled{{.id = "", .name = one.request.tools[0].name, .arguments = "{}"}});
        return false;
      case 3:
        if (one.request.speak) one.sink->on_event(AudioDelta{std::vector<float>(4800, -0.1f)});
        return false;
      default: one.sink->on_event(Finished{}); return true;
    }
  }

  std::list<Open> open_;
  uint64_t submitted_ = 0;
};

class TinyDecoder : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t> bytes) override {
    if (bytes.size() < 3) return fail(ErrorCode::invalid_argument, "no picture.");
    return assistant::Image{.width = 1, .height = 1, .rgb = {bytes[0], bytes[1], bytes[2]}};
  }
  Result<assistant::Sound> sound(std::span<const uint8_t>, std::string_view) override {
    return assistant::Sound{.samples = std::vector<float>(1600, 0.2f)};
  }
};

struct World {
  asio::io_context io{1};  ///< longer than the worker thread, which may still hold its executor when a session has ended
  std::shared_ptr<TurnedEngine> engine = std::make_shared<TurnedEngine>();
  std::shared_ptr<Context> context =
      std::make_shared<Context>(ServerOptions{.worker_threads = 1}, engine, std::make_shared<TinyDecoder>());
};

/// Pieces to send one after the other.
std::vector<std::string> pieces_of(const uint8_t* data, size_t size) {
  constexpr size_t kMostFrames = 400, kMostRawBytes = 4096;  // below what is read more slowly
  std::vector<std::string> pieces;
  if (size == 0) return pieces;
  const bool raw = data[0] % 2 == 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (raw) return {std::string(bytes.substr(0, kMostRawBytes))};
  for (size_t at = 0; at + 3 <= bytes.size() && pieces.size() < kMostFrames;) {
    const size_t length = static_cast<uint8_t>(bytes[at + 1]) | static_cast<size_t>(static_cast<uint8_t>(bytes[at + 2]))
                                                                    << 8;
    const std::string_view payload = bytes.substr(at + 3, length);
    std::string frame(1, bytes[at]);
    if (payload.size() < 126) {
      frame.push_back(static_cast<char>(0x80 | payload.size()));
    } else {
      frame.push_back(static_cast<char>(0x80 | 126));
      frame.push_back(static_cast<char>(payload.size() >> 8));
      frame.push_back(static_cast<char>(payload.size() & 0xff));
    }
    frame.append("\1\2\3\4");
    for (size_t i = 0; i < payload.size(); ++i) frame.push_back(static_cast<char>(payload[i] ^ ((i & 3) + 1)));
    pieces.push_back(std::move(frame));
    at += 3 + payload.size();
  }
  return pieces;
}

/// Takes whole frames from the front: none masked or reserved, texts are events.
void check_sent(std::string& sent, bool& upgraded) {
  if (!upgraded) {
    const size_t end = sent.find("\r\n\r\n");
    if (end == std::string::npos) return;
    CHECK(sent.starts_with("HTTP/1.1 101 "));
    sent.erase(0, end + 4);
    upgraded = true;
  }
  while (sent.size() >= 2) {
    const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(sent[i])); };
    const size_t opcode = byte(0) & 0x0f, short_length = byte(1);
    CHECK((byte(0) & 0xf0) == 0x80 && short_length < 0x80);
    CHECK(opcode == 1 || (opcode >= 8 && opcode <= 10));
    const size_t head = short_length < 126 ? 2 : short_length == 126 ? 4 : 10;
    if (sent.size() < head) return;
    size_t length = head == 2 ? short_length : 0;
    for (size_t i = 2; i < head; ++i) length = length << 8 | byte(i);
    if (sent.size() < head + length) return;
    if (opcode == 1) {
      boost::system::error_code error;
      const auto event = boost::json::parse(std::string_view(sent).substr(head, length), error);
      CHECK(!error && event.is_object() && event.as_object().contains("type"));
    }
    sent.erase(0, head + length);
  }
}

http::request<http::string_body> upgrade() {
  http::request<http::string_body> request(http::verb::get, "/v1/realtime", 11);
  request.set(http::field::host, "x");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "websocket");
  request.set(http::field::sec_websocket_version, "13");
  request.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  int ends[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  const int client = ends[1];
  asio::io_context& io = world.io;
  bool ended = false;
  {
    beast::tcp_stream stream(io);
    stream.socket().assign(tcp::v4(), ends[0]);
    RealtimeSession::Setup setup{.session = {.model = "scripted"}, .user = "u", .request_id = "req_1"};
    if (size > 0 && (data[0] & 2) != 0) setup.dialect = api::realtime::Dialect::beta;
    const auto session = std::make_shared<RealtimeSession>(std::move(stream), world.context, std::move(setup));
    asio::co_spawn(
        io,
        [session]() -> asio::awaitable<void> {
          const auto request = upgrade();
          co_await session->run(request);
        },
        [&](std::exception_ptr failure) {
          CHECK(!failure);
          ended = true;
        });
  }
  std::vector<std::string> pieces = pieces_of(data, size);
  size_t next = 0;
  std::string sent;
  bool upgraded = false, gone = false;
  // Some turns after the last piece for what is still being answered, then the client vanishes.
  for (int turns_left = 16, idle = 0; !ended && idle < 5'000;) {
    const size_t ran = io.poll();
    io.restart();
    world.engine->turn();
    char bytes[16384];
    for (ssize_t got = 0; !gone && (got = ::recv(client, bytes, sizeof bytes, 0)) > 0;)
      sent.append(bytes, static_cast<size_t>(got));
    check_sent(sent, upgraded);
    if (next < pieces.size()) {
      std::string& piece = pieces[next];
      const ssize_t wrote = ::send(client, piece.data(), piece.size(), MSG_NOSIGNAL);
      if (wrote > 0) piece.erase(0, static_cast<size_t>(wrote));
      if (piece.empty() || (wrote < 0 && errno == EPIPE)) ++next;
    } else if (turns_left > 0) {
      --turns_left;
    } else if (!gone) {
      ::close(client);
      gone = true;
    }
    if (ran == 0 && next == pieces.size()) {
      ++idle;
      io.run_one_for(std::chrono::microseconds(gone ? 1000 : 100));  // what the worker thread does comes back here
      io.restart();
    }
  }
  CHECK(ended);
  if (!gone) ::close(client);
  world.engine->forget();
  io.poll();
  return 0;
}
