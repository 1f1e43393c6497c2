// /v1/realtime: who may open a session, and what it is set to.
#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/websocket/rfc6455.hpp>

#include "api/realtime_client_event.h"
#include "api/realtime_server_event.h"
#include "server/connection.h"
#include "server/keys.h"
#include "server/realtime_session.h"
#include "server/url.h"

namespace calliope::server {

std::string random_id(std::string_view prefix);

namespace wire = api::realtime;

namespace {

constexpr std::string_view kKeyProtocol = "openai-insecure-api-key.", kBetaProtocol = "openai-beta.realtime-v1";

int64_t unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The entries of a comma-separated header.
std::vector<std::string_view> entries(std::string_view list) {
  std::vector<std::string_view> result;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view entry = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (!entry.empty()) result.push_back(entry);
  }
  return result;
}

/// What a client shows: the header's key, or, from a browser, the subprotocol's.
std::string_view key_of(const http::request_header<>& header) {
  std::string_view given = header[http::field::authorization];
  if (given.size() > 7 && beast::iequals(given.substr(0, 7), "Bearer ")) return given.substr(7);
  for (const std::string_view protocol : entries(header[http::field::sec_websocket_protocol])) {
    if (protocol.starts_with(kKeyProtocol)) return protocol.substr(kKeyProtocol.size());
  }
  return {};
}

/// A browser fails when none of the protocols it offered comes back; a key does not come back.
std::string subprotocol(const http::request_header<>& header) {
  const auto offered = entries(header[http::field::sec_websocket_protocol]);
  if (std::ranges::find(offered, "realtime") != offered.end()) return "realtime";
  for (const std::string_view protocol : offered) {
    if (!protocol.starts_with(kKeyProtocol)) return std::string(protocol);
  }
  return {};
}

bool speaks_beta(const http::request_header<>& header) {
  const auto offered = entries(header[http::field::sec_websocket_protocol]);
  return header["OpenAI-Beta"].find("realtime=v1") != std::string_view::npos ||
         std::ranges::find(offered, kBetaProtocol) != offered.end();
}

/// Any page may open a WebSocket to anywhere; without keys, only our own page and the allowed origin may here.
bool foreign_page(const http::request_header<>& header, std::string_view allowed) {
  const std::string_view origin = header[http::field::origin];
  if (origin.empty() || allowed == "*" || origin == allowed) return false;
  const size_t scheme = origin.find("://");
  return scheme == std::string_view::npos || !beast::iequals(origin.substr(scheme + 3), header[http::field::host]);
}

std::optional<std::string> query_value(std::string_view target, std::string_view name) {
  const size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return percent_decode(pair.substr(name.size() + 1));
  }
  return std::nullopt;
}

api::ErrorReply refusal(int status, std::string_view message, std::string_view code, std::string_view param = {}) {
  return api::error_reply({.status = status,
                           .message = message,
                           .type = status >= 500 ? "server_error" : "invalid_request_error",
                           .param = param,
                           .code = code});
}

}  // namespace

/// GET /v1/realtime, which becomes a WebSocket.
asio::awaitable<void> Connection::realtime(Parser& parser) {
  const auto& request = parser.get();
  keep_alive_ = false;
  if (!beast::websocket::is_upgrade(request)) {
    co_return co_await send_error(refusal(426, "/v1/realtime is a WebSocket: send an upgrade.", "upgrade_required"),
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\n");
  }
  RealtimeSession::Setup setup{.max_wait_s = max_wait_s_, .request_id = log_.id};
  setup.session.model = context_->models.front();
  const std::string_view key = key_of(request);
  if (key.starts_with("ek_")) {
    auto bound = context_->client_secrets.find(key, unix_now_s());
    if (!bound) {
      co_return co_await send_error(
          refusal(401, "The client secret is unknown or has expired.", "invalid_client_secret"));
    }
    setup.session = *std::move(bound);
  } else if (!context_->options.api_keys.empty() && !is_one_of(key, context_->options.api_keys)) {
    const std::string_view message =
        key.empty() ? "You did not provide an API key: send it as Authorization: Bearer YOUR_KEY, or "
                      "as the subprotocol openai-insecure-api-key.YOUR_KEY."
                    : "The API key is not one this server knows.";
    co_return co_await send_error(refusal(401, message, "invalid_api_key"), "WWW-Authenticate: Bearer\r\n");
  } else if (context_->options.api_keys.empty() && foreign_page(request, context_->options.allow_origin)) {
    co_return co_await send_error(
        refusal(403, "Pages of this origin may not open sessions; --allow-origin lets one, and keys let any.",
                "origin_not_allowed"));
  }
  const std::string_view target = request.target();
  if (query_value(target, "call_id")) {
    co_return co_await send_error(
        refusal(404, "This server holds no calls: leave call_id out.", "not_found", "call_id"));
  }
  if (const auto model = query_value(target, "model"); model && !model->empty()) {
    if (std::ranges::find(context_->models, *model) == context_->models.end()) {
      const std::string message = fmt::format("The model '{}' does not exist; this server has: {}.",
                                              model->substr(0, 200), fmt::join(context_->models, ", "));
      co_return co_await send_error(refusal(404, message, "model_not_found", "model"));
    }
    setup.session.model = *model;
  }
  if (query_value(target, "intent") == "transcription") {
    setup.session.transcription_only = true;
    if (!setup.session.transcription) setup.session.transcription.emplace();
  }
  if (context_->stopping) {
    co_return co_await send_error(refusal(503, "The server is stopping.", "stopping"), "Retry-After: 5\r\n");
  }
  if (constexpr size_t kASession = 64 << 10; !context_->realtime_memory->has_room_for(kASession)) {
    const std::string message = fmt::format("The {} MiB that all conversations of this server may hold are used up; try again later.",
                                            context_->realtime_memory->most() >> 20);
    co_return co_await send_error(refusal(503, message, "memory_full"), "Retry-After: 10\r\n");
  }
  if (buffer_.size() != 0) {
    co_return co_await send_error(refusal(400, "Nothing may be sent before the upgrade is answered.", "bad_request"));
  }
  setup.dialect = speaks_beta(request) ? wire::Dialect::beta : wire::Dialect::ga;
  setup.subprotocol = subprotocol(request);
  const std::string_view who = request["OpenAI-Safety-Identifier"];
  setup.user = who.empty() ? log_.id : std::string(who.substr(0, 128));

  log_.status = 101;
  const auto session = std::make_shared<RealtimeSession>(std::move(stream_), context_, std::move(setup));
  realtime_ = session;
  const auto summary = co_await session->run(request);
  realtime_.reset();
  log_.outcome = summary.outcome;
  log_.bytes_in = summary.bytes_in;
  log_.bytes_out = summary.bytes_out;
  wrote_ok_ = false;  // the socket is gone
}

/// POST /v1/realtime/client_secrets.
asio::awaitable<void> Connection::client_secret(Parser& parser) {
  const bool read = co_await read_body(parser);
  if (!read) co_return;
  wire::Session defaults;
  defaults.model = context_->models.front();
  auto parsed = wire::parse_client_secret(parser.get().body(), defaults, context_->models);
  body_claim_.reset();
  if (!parsed) co_return co_await send_error(api::error_reply(parsed.error()));
  const int64_t now_s = unix_now_s(), until_s = now_s + parsed->seconds;
  const std::string secret = random_id("ek_");
  Reply reply{.body = wire::client_secret_json(secret, until_s, parsed->session, random_id("sess_"))};
  if (!context_->client_secrets.keep(secret, std::move(parsed->session), until_s, now_s)) {
    const api::ErrorText text{.status = 429,
                              .message = "Too many client secrets are out; wait until some expire.",
                              .type = "rate_limit_error",
                              .code = "rate_limit_exceeded"};
    co_return co_await send_error(api::error_reply(text), "Retry-After: 10\r\n");
  }
  co_await send(std::move(reply));
}

}  // namespace calliope::server
