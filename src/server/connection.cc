#include "server/connection.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/check.h"
#include "server/realtime_session.h"

namespace calliope::server {

namespace {

std::string_view reason_phrase(int status) { return http::obsolete_reason(static_cast<http::status>(status)); }

api::ErrorReply body_too_large(size_t most) {
  const std::string size = most >= 1 << 20 ? fmt::format("{} MiB", most >> 20) : fmt::format("{} bytes", most);
  const std::string message = fmt::format("The body is larger than {}, the most this server takes.", size);
  return api::error_reply({.status = 413, .message = message, .code = "request_too_large"});
}

}  // namespace

/// Seconds; 0 when it was not given.
Result<double> parse_max_wait(std::string_view text) {
  double seconds = 0;
  if (text.empty()) return seconds;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds > 0 && seconds <= 3600) return seconds;
  return fail(ErrorCode::invalid_argument,
              "X-Max-Wait takes the seconds that the request may wait, more than 0 and at most 3600, such as 2.5.",
              "X-Max-Wait");
}

std::string random_id(std::string_view prefix) {
  unsigned char bytes[15];
  CHECK(getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id(prefix);
  uint32_t bits = 0;
  int have = 0;
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (have += 8; have >= 5; have -= 5) id.push_back(kLetters[bits >> (have - 5) & 31]);
  }
  return id;
}

Connection::Connection(tcp::socket socket, std::shared_ptr<Context> context)
    : stream_(std::move(socket)), context_(std::move(context)), wake_timer_(stream_.get_executor()) {}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  error_code ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  while (co_await serve_one()) {
  }
  stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
}

void Connection::close_when_idle() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    if (self->idle_) self->stream_.cancel();
    if (const auto realtime = self->realtime_.lock()) realtime->drain();
  });
}

/// One request and its answer. False when the connection has to end.
asio::awaitable<bool> Connection::serve_one() {
  if (!co_await wait_for_first_byte()) co_return false;
  first_request_ = false;
  log_ = {};
  log_.id = random_id("req_");
  keep_alive_ = true;
  wrote_ok_ = true;
  head_only_ = false;

  Parser parser;
  parser.header_limit(context_->options.header_bytes);
  parser.body_limit(context_->options.body_bytes);
  error_code error;
  stream_.expires_after(context_->options.header_timeout);
  co_await http::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
  http_1_0_ = parser.get().version() < 11;
  if (error && error != http::error::body_limit) {
    keep_alive_ = false;
    if (error == beast::error::timeout || error == http::error::end_of_stream ||
        error == http::error::partial_message || error.category() == asio::error::get_system_category()) {
      log_.outcome = error == beast::error::timeout ? "header_timeout" : "client_gone";
      if (error == beast::error::timeout) end_request();
      co_return false;
    }
    api::ErrorText text{.status = 400, .message = "This is not a valid HTTP request.", .code = "bad_request"};
    if (error == http::error::header_limit) {
      text = {.status = 431, .message = "The request's header is too large.", .code = "header_too_large"};
    }
    co_await send_error(api::error_reply(text));
    co_await drop_rest_of_request();
    end_request();
    co_return false;
  }

  const auto& header = parser.get();
  log_.method = header.method_string();
  log_.path = std::string(header.target().substr(0, header.target().find('?')));
  keep_alive_ = header.keep_alive() && !http_1_0_ && !context_->stopping;
  head_only_ = header.method() == http::verb::head;
  if (const auto given = header["X-Request-Id"]; !given.empty() && given.size() <= 64) {
    const bool plain =
        std::ranges::all_of(given, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
    if (plain) log_.id = std::string(given);
  }
  const auto max_wait = parse_max_wait(header["X-Max-Wait"]);
  max_wait_s_ = max_wait.value_or(0);
  if (error == http::error::body_limit) {
    keep_alive_ = false;
    co_await send_error(body_too_large(context_->options.body_bytes));
  } else if (!max_wait) {
    co_await send_error(api::error_reply(max_wait.error()));
  } else {
    co_await route(parser);
  }
  if (!parser.is_done()) {
    keep_alive_ = false;
    if (wrote_ok_) co_await drop_rest_of_request();
  }
  body_claim_.reset();
  end_request();
  co_return keep_alive_&& wrote_ok_ && !context_->stopping;
}

/// Tells the log and the metrics of a request that is over.
void Connection::end_request() {
  if (log_.status == 0) log_.status = log_.outcome == "header_timeout" || log_.outcome == "body_timeout" ? 408 : 499;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - log_.start).count();
  context_->metrics.request(route_label(log_.path), log_.method, log_.status, seconds);
  if (log_.answered) context_->metrics.answer(log_.api, log_.outcome);
  write_log(log_);
}

asio::awaitable<bool> Connection::wait_for_first_byte() {
  if (buffer_.size() != 0) co_return true;
  const auto& options = context_->options;
  stream_.expires_after(first_request_ ? options.header_timeout : options.idle_timeout);
  error_code error;
  idle_ = true;
  const size_t bytes =
      co_await stream_.async_read_some(buffer_.prepare(4096), asio::redirect_error(asio::use_awaitable, error));
  idle_ = false;
  buffer_.commit(bytes);
  co_return !error && bytes != 0;
}

/// Reads the body; on failure answers and returns false.
asio::awaitable<bool> Connection::read_body(Parser& parser) {
  const auto& options = context_->options;
  // What all clients send together is bounded too. An unstated length counts as the most it may become.
  const size_t claim = parser.content_length().value_or(options.body_bytes);
  body_claim_.emplace(context_->bodies_bytes, claim);
  if (!body_claim_->within(options.all_bodies_bytes)) {
    const api::ErrorText text{.status = 503,
                              .message = "The server is reading too many large requests; try again shortly.",
                              .type = "server_error",
                              .code = "overloaded"};
    co_await send_error(api::error_reply(text), "Retry-After: 2\r\n");
    co_return false;
  }
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const bool written = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!written) co_return false;
  }
  error_code error;
  stream_.expires_after(options.body_timeout);
  co_await http::async_read(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
  log_.bytes_in = parser.get().body().size();
  if (!error) co_return true;
  keep_alive_ = false;
  if (error == http::error::body_limit) {
    co_await send_error(body_too_large(options.body_bytes));
  } else if (error == beast::error::timeout) {  // the stream has closed the socket by now
    log_.outcome = "body_timeout";
    wrote_ok_ = false;
  } else if (error.category() == asio::error::get_system_category() || error == http::error::partial_message ||
             error == http::error::end_of_stream || error == asio::error::eof) {
    log_.outcome = "client_gone";
    wrote_ok_ = false;
  } else {
    co_await send_error(
        api::error_reply({.status = 400, .message = "The body is not validly framed.", .code = "bad_request"}));
  }
  co_return false;
}

/// Writes everything, or notes that the client is gone. Only standing still for write_timeout fails, slowness does not.
asio::awaitable<bool> Connection::write(std::string_view bytes) {
  constexpr size_t kSlice = 64 << 10;
  while (!bytes.empty() && wrote_ok_) {
    error_code error;
    stream_.expires_after(context_->options.write_timeout);
    const size_t written = co_await stream_.async_write_some(asio::buffer(bytes.data(), std::min(bytes.size(), kSlice)),
                                                             asio::redirect_error(asio::use_awaitable, error));
    log_.bytes_out += written;
    bytes.remove_prefix(written);
    if (error) {
      wrote_ok_ = false;
      log_.outcome = error == beast::error::timeout ? "write_timeout" : "client_gone";
    }
  }
  stream_.expires_never();
  co_return wrote_ok_;
}

std::string Connection::head(int status, std::string_view content_type, std::string_view headers) {
  log_.status = status;
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\nServer: calliope\r\nContent-Type: {}\r\nX-Request-Id: "
      "{}\r\n"
      "X-Content-Type-Options: nosniff\r\n{}{}",
      status, reason_phrase(status), utc, content_type, log_.id, headers, keep_alive_ ? "" : "Connection: close\r\n");
  if (!context_->options.allow_origin.empty()) {
    text +=
        fmt::format("Access-Control-Allow-Origin: {}\r\nAccess-Control-Expose-Headers: X-Request-Id, Retry-After\r\n",
                    context_->options.allow_origin);
    if (context_->options.allow_origin != "*") text += "Vary: Origin\r\n";
  }
  return text;
}

asio::awaitable<void> Connection::send(Reply reply) {
  if (context_->stopping) keep_alive_ = false;
  std::string bytes = head(reply.status, reply.content_type, reply.headers);
  if (reply.status != 204 && reply.status != 304) bytes += fmt::format("Content-Length: {}\r\n", reply.body.size());
  bytes += "\r\n";
  const bool with_body = !head_only_ && reply.status != 204 && reply.status != 304;
  if (with_body && reply.body.size() <= 16 << 10) {
    bytes += reply.body;
    co_await write(bytes);
  } else {
    co_await write(bytes);
    if (with_body) co_await write(reply.body);
  }
}

asio::awaitable<void> Connection::send_error(api::ErrorReply error, std::string headers) {
  log_.outcome = "error";
  context_->metrics.error(error.code);
  Reply reply{.status = error.status, .body = std::move(error.body), .headers = std::move(headers)};
  log_.detail = std::move(error.message);
  co_await send(std::move(reply));
}

/// Lets a client that still sends see the answer: closing now would reset the connection under it.
asio::awaitable<void> Connection::drop_rest_of_request() {
  constexpr size_t kMost = 256u << 20;
  error_code error;
  stream_.socket().shutdown(tcp::socket::shutdown_send, error);
  stream_.expires_after(std::chrono::seconds(5));
  buffer_.clear();
  for (size_t dropped = 0; !error && dropped < kMost;) {
    dropped +=
        co_await stream_.async_read_some(buffer_.prepare(64 << 10), asio::redirect_error(asio::use_awaitable, error));
  }
}

/// Whether the other side has closed, even when bytes it sent before are still unread.
bool Connection::client_gone() {
  pollfd descriptor{.fd = stream_.socket().native_handle(), .events = POLLRDHUP, .revents = 0};
  return poll(&descriptor, 1, 0) > 0 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace calliope::server
