#include "server/realtime_session.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "api/realtime_client_event.h"
#include "api/realtime_server_event.h"
#include "server/log.h"

namespace calliope::server {

namespace websocket = beast::websocket;
namespace wire = api::realtime;
using std::chrono::milliseconds;

namespace {

constexpr size_t kInlineBytes = 64 << 10;    ///< an event up to this size is read on the strand
constexpr size_t kClaimedBytes = 256 << 10;  ///< and one above this counts towards what all bodies may take

int64_t unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

websocket::close_reason close_reason(const std::string& over) {
  if (over == "session_expired")
    return {websocket::close_code::normal, "The session has reached its maximum duration."};
  if (over == "server_stopping") return {websocket::close_code::going_away, "The server is stopping."};
  return {websocket::close_code::policy_error, "The events were not read fast enough."};
}

}  // namespace

milliseconds FloodGate::take(size_t bytes, Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - then_).count();
  then_ = now;
  events_ = std::min(kMostEvents, events_ + seconds * kEventsPerSecond) - 1;
  bytes_ = std::min(kMostBytes, bytes_ + seconds * kBytesPerSecond) - static_cast<double>(bytes);
  const double wait = std::max({0.0, -events_ / kEventsPerSecond, -bytes_ / kBytesPerSecond});
  return milliseconds(static_cast<int64_t>(wait * 1000));
}

RealtimeSession::RealtimeSession(beast::tcp_stream stream, std::shared_ptr<Context> context, Setup setup)
    : stream_(std::move(stream)),
      context_(std::move(context)),
      setup_(std::move(setup)),
      gate_(Clock::now()),
      complained_(Clock::now() - std::chrono::hours(1)),
      due_(stream_.get_executor()),
      more_(stream_.get_executor()) {}

asio::awaitable<RealtimeSession::Summary> RealtimeSession::run(const http::request<http::string_body>& upgrade) {
  const auto self = shared_from_this();
  auto& tcp = stream_.next_layer();
  tcp.expires_never();
  error_code error;
  // What lies in the kernel cannot be taken back when the person interrupts: a second of sound at most.
  tcp.socket().set_option(asio::socket_base::send_buffer_size(32 << 10), error);
  stream_.set_option(websocket::stream_base::timeout{.handshake_timeout = std::chrono::seconds(10),
                                                     .idle_timeout = std::chrono::seconds(60),
                                                     .keep_alive_pings = true});
  stream_.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
    response.set(http::field::server, "calliope");
    response.set("X-Request-Id", setup_.request_id);
    if (!setup_.subprotocol.empty()) response.set(http::field::sec_websocket_protocol, setup_.subprotocol);
  }));
  stream_.read_message_max(0);  // read_event has its own limit, which does not end the session
  stream_.text(true);
  stream_.auto_fragment(false);
  co_await stream_.async_accept(upgrade, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return summary_;

  auto settings = context_->options.realtime;
  settings.max_wait_s = setup_.max_wait_s;
  settings.memory = context_->realtime_memory;
  const auto wake = [weak = weak_from_this(), executor = stream_.get_executor()] {
    asio::post(executor, [weak] {
      if (const auto session = weak.lock()) session->poll();
    });
  };
  conversation_ = std::make_unique<realtime::Conversation>(settings, setup_.session, context_->engine, setup_.user,
                                                           unix_now_s() + settings.session.count(), Clock::now(), wake);
  ++context_->metrics.realtime_sessions;
  ++context_->metrics.realtime_sessions_opened;
  writing_ = true;
  asio::co_spawn(
      stream_.get_executor(), [self]() -> asio::awaitable<void> { co_await self->write(); },
      [self](std::exception_ptr failure) {
        self->writing_ = false;
        if (failure) self->hang_up();
        self->more_.cancel();
      });
  settle();
  co_await read();
  hang_up();
  conversation_.reset();  // stops what the engine still does for it
  --context_->metrics.realtime_sessions;
  due_.cancel();
  more_.cancel();
  while (writing_) {
    more_.expires_after(std::chrono::seconds(1));
    co_await more_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  co_return summary_;
}

void RealtimeSession::drain() {
  if (!conversation_) return;
  conversation_->drain();
  settle();
}

void RealtimeSession::hang_up() {
  gone_ = true;
  error_code ignored;
  stream_.next_layer().socket().close(ignored);
  more_.cancel();
}

/// Takes what the engine has said, and does what is due.
void RealtimeSession::poll() {
  if (!conversation_ || gone_) return;
  conversation_->poll(Clock::now());
  settle();
}

/// After anything that happened: the writer has work, and the next deadline may be another.
void RealtimeSession::settle() {
  more_.cancel();
  if (const auto& over = conversation_->over()) {
    summary_.outcome = *over;
    due_.cancel();
    if (*over == "slow_reader") hang_up();
    return;
  }
  const auto deadline = conversation_->deadline();
  if (deadline == armed_ || !deadline) return;
  armed_ = deadline;
  due_.expires_at(*deadline);
  due_.async_wait([weak = weak_from_this()](error_code error) {
    const auto session = error ? nullptr : weak.lock();
    if (!session) return;
    session->armed_.reset();
    session->poll();
  });
}

asio::awaitable<void> RealtimeSession::read() {
  while (!gone_) {
    std::string event;
    bool too_large = false;
    const bool read = co_await read_event(event, too_large);
    if (!read) {
      if (stream_.reason().code != websocket::close_code::none && summary_.outcome == "client_gone")
        summary_.outcome = "closed";
      co_return;
    }
    const size_t bytes = event.size();
    if (too_large) {
      conversation_->complain(
          {ErrorCode::too_large, fmt::format("An event has at most {} MiB.", kMostEventBytes >> 20)}, {},
          "event_too_large");
      settle();
    } else {
      co_await take(std::move(event));
    }
    claim_.reset();
    const auto wait = gate_.take(too_large ? kMostEventBytes : bytes, Clock::now());
    if (wait > milliseconds(0)) {
      const bool here = co_await slow_down(wait);
      if (!here) co_return;
    }
  }
}

/// Reads one whole event. What is over the limit is read to its end and thrown away.
asio::awaitable<bool> RealtimeSession::read_event(std::string& event, bool& too_large) {
  do {
    error_code error;
    const size_t bytes =
        co_await stream_.async_read_some(in_, kInlineBytes, asio::redirect_error(asio::use_awaitable, error));
    summary_.bytes_in += bytes;
    if (error) co_return false;
    if (in_.size() > kClaimedBytes && !claim_) {
      claim_.emplace(context_->bodies_bytes, kMostEventBytes);
      if (!claim_->within(context_->options.all_bodies_bytes)) too_large = true;
    }
    if (in_.size() > kMostEventBytes) too_large = true;
    if (too_large) in_.clear();
  } while (!stream_.is_message_done());
  event.assign(static_cast<const char*>(in_.data().data()), in_.size());
  in_.clear();
  if (in_.capacity() > kInlineBytes) in_ = {};  // a session that waits takes little
  co_return true;
}

asio::awaitable<void> RealtimeSession::take(std::string event) {
  using Parsed = std::expected<wire::ClientEvent, wire::BadEvent>;
  const auto parse = [&]() -> Parsed {
    const wire::ClientEventContext context{
        .decoder = *context_->decoder, .session = conversation_->session(), .models = context_->models};
    return wire::parse_client_event(event, context);
  };
  // Decoding pictures and long sounds takes its time: not here, where everybody's sound passes.
  const bool heavy = event.size() > kInlineBytes || event.find("input_image") != std::string::npos;
  std::optional<Parsed> parsed;
  if (heavy) {
    parsed.emplace(co_await on_worker(*context_, parse));
  } else {
    parsed.emplace(parse());
  }
  if (gone_) co_return;
  if (parsed->has_value()) {
    conversation_->handle(std::move(parsed->value()), Clock::now());
  } else {
    wire::BadEvent& bad = parsed->error();
    conversation_->complain(std::move(bad.error), std::move(bad.event_id), std::move(bad.code));
  }
  settle();
}

/// Lets a client that sends too fast wait. False when it has gone meanwhile.
asio::awaitable<bool> RealtimeSession::slow_down(milliseconds wait) {
  const auto until = Clock::now() + wait;
  if (Clock::now() - complained_ > std::chrono::seconds(10)) {
    complained_ = Clock::now();
    conversation_->complain(
        {ErrorCode::unavailable,
         fmt::format("Events come faster than {} a second or {} MiB a second; they are read more slowly.",
                     FloodGate::kEventsPerSecond, FloodGate::kBytesPerSecond / (1 << 20))},
        {}, "rate_limit_exceeded");
    settle();
  }
  asio::steady_timer timer(stream_.get_executor());
  while (Clock::now() < until && !gone_) {
    timer.expires_at(std::min(until, Clock::now() + milliseconds(50)));
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    pollfd descriptor{.fd = stream_.next_layer().socket().native_handle(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&descriptor, 1, 0) > 0 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) co_return false;
  }
  co_return !gone_;
}

/// Sends events as they come, then says goodbye.
asio::awaitable<void> RealtimeSession::write() {
  error_code error;
  while (!gone_) {
    auto event = conversation_->next(Clock::now());
    if (!event) {
      if (conversation_->over()) break;
      more_.expires_at(Clock::time_point::max());
      co_await more_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    count(*event);
    const std::string text =
        wire::to_json(*event, fmt::format("event_{}_{}", setup_.request_id, events_out_++), setup_.dialect);
    event.reset();
    if (text.empty()) continue;
    co_await stream_.async_write(asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    summary_.bytes_out += text.size();
  }
  if (gone_) co_return;
  co_await stream_.async_close(close_reason(*conversation_->over()), asio::redirect_error(asio::use_awaitable, error));
  hang_up();
}

void RealtimeSession::count(const wire::ServerEvent& event) {
  if (const auto* error = std::get_if<wire::ErrorEvent>(&event)) {
    context_->metrics.error(error->code.empty() ? "invalid_request_error" : error->code);
  } else if (const auto* done = std::get_if<wire::ResponseDone>(&event)) {
    static constexpr std::string_view kOutcomes[] = {"in_progress", "ok", "cancelled", "error", "incomplete"};
    context_->metrics.answer("realtime", kOutcomes[static_cast<int>(done->response.status)]);
  }
}

}  // namespace calliope::server
