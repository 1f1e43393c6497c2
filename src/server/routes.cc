#include <fmt/format.h>

#include "api/chat_response.h"
#include "server/connection.h"
#include "server/keys.h"
#include "server/url.h"
#include "server/prometheus_text.h"
#include "server/web_assets.h"

namespace calliope::server {

namespace {

/// The page may load only what this server gives it, and no other page may frame it.
constexpr std::string_view kPageHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'\r\n"
    "Permissions-Policy: microphone=(self), camera=(self)\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n";

/// Also while it drains: whoever restarts what is dead must not cut answers.
Reply alive() { return {.body = R"({"status":"ok"})"}; }

Reply ready(const Context& context) {
  if (context.stopping) return {.status = 503, .body = R"({"status":"draining"})", .headers = "Retry-After: 5\r\n"};
  return {.body = R"({"status":"ready"})"};
}

Reply metrics(const Context& context) {
  return {.content_type = PrometheusText::kContentType,
          .body = context.metrics.text(context.engine->stats(), *context.realtime_memory, !context.stopping)};
}

std::vector<std::string> metrics_keys(const ServerOptions& options) {
  if (options.metrics_key.empty()) return options.api_keys;
  return {options.metrics_key};
}

}  // namespace

asio::awaitable<void> Connection::route(Parser& parser) {
  const auto& header = parser.get();
  const std::string_view path = log_.path;
  const http::verb method = header.method();
  const bool reading = method == http::verb::get || method == http::verb::head;

  const bool is_speech = path == "/v1/audio/speech", is_chat = path == "/v1/chat/completions" || is_speech, is_secret = path == "/v1/realtime/client_secrets";
  const bool is_transcription = path == "/v1/audio/transcriptions", is_translation = path == "/v1/audio/translations";
  const bool is_realtime = path == "/v1/realtime", is_post = is_chat || is_secret || is_transcription || is_translation;
  const bool is_api = path == "/v1" || path.starts_with("/v1/");
  const bool is_model = path.starts_with("/v1/models/");
  const WebAsset* asset = is_api ? nullptr : find_web_asset(path);
  const bool known = is_post || is_realtime || is_model || path == "/v1/models" || path == "/healthz" || path == "/readyz" || path == "/metrics" || asset != nullptr;

  if (is_api && method == http::verb::options && !context_->options.allow_origin.empty()) {
    Reply reply{.status = 204, .content_type = "text/plain"};
    reply.headers =
        "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
        "Access-Control-Allow-Headers: *, Authorization, Content-Type\r\nAccess-Control-Max-Age: 600\r\n";
    co_return co_await send(std::move(reply));
  }
  if (is_api && !is_realtime) {
    const bool admitted = co_await admit(header, context_->options.api_keys);
    if (!admitted) co_return;
  }
  if (!known) {
    const std::string message =
        fmt::format("Unknown request URL: {} {}. Requests go to /v1/chat/completions, /v1/audio/speech, /v1/audio/transcriptions, /v1/realtime and /v1/models.", log_.method,
                    path.substr(0, 200));
    co_return co_await send_error(api::error_reply({.status = 404, .message = message, .code = "unknown_url"}));
  }
  if (is_post ? method != http::verb::post : !reading) {
    const std::string allow = is_post ? "POST" : "GET, HEAD";
    const std::string message = fmt::format("{} is not allowed here; use {}.", log_.method, allow);
    co_return co_await send_error(api::error_reply({.status = 405, .message = message, .code = "method_not_allowed"}),
                                  "Allow: " + allow + "\r\n");
  }
  if (is_chat) co_return co_await chat(parser);
  if (is_transcription) co_return co_await transcription(parser);
  if (is_translation) co_return co_await refuse_translation();
  if (is_secret) co_return co_await client_secret(parser);
  if (is_realtime) co_return co_await realtime(parser);

  if (path == "/healthz") co_return co_await send(alive());
  if (path == "/readyz") co_return co_await send(ready(*context_));
  if (path == "/metrics") {
    const std::vector<std::string> keys = metrics_keys(context_->options);
    const bool admitted = co_await admit(header, keys);
    if (admitted) co_await send(metrics(*context_));
    co_return;
  }
  if (path == "/v1/models") {
    Reply reply{.body = api::model_list(context_->models, context_->started_s)};
    co_return co_await send(std::move(reply));
  }
  if (is_model) {
    const auto name = percent_decode(path.substr(std::string_view("/v1/models/").size()));
    if (name && std::ranges::find(context_->models, *name) != context_->models.end()) {
      Reply reply{.body = api::model_object(*name, context_->started_s)};
      co_return co_await send(std::move(reply));
    }
    const Error error{ErrorCode::not_found, "This model does not exist; GET /v1/models lists those that do.", "model"};
    co_return co_await send_error(api::error_reply(error));
  }

  const std::string etag = fmt::format("\"{}\"", asset->etag);
  Reply reply{.content_type = asset->content_type, .body = std::string(asset->bytes)};
  reply.headers = fmt::format("ETag: {}\r\nCache-Control: no-cache\r\n{}", etag, kPageHeaders);
  if (header[http::field::if_none_match].find(etag) != std::string_view::npos) reply.status = 304;
  co_await send(std::move(reply));
}

/// Whether the caller shows one of these keys, or there is none; when not, tells it so.
asio::awaitable<bool> Connection::admit(const http::request_header<>& header, const std::vector<std::string>& keys) {
  if (keys.empty()) co_return true;
  std::string_view given = header[http::field::authorization];
  if (given.size() > 7 && beast::iequals(given.substr(0, 7), "Bearer ")) {
    given.remove_prefix(7);
    if (is_one_of(given, keys)) co_return true;
  }
  const bool none = header[http::field::authorization].empty();
  api::ErrorText text{.status = 401, .code = "invalid_api_key"};
  text.message = none ? "You did not provide an API key: send it as Authorization: Bearer YOUR_KEY."
                      : "The API key is not one this server knows.";
  co_await send_error(api::error_reply(text), "WWW-Authenticate: Bearer\r\n");
  co_return false;
}

/// Reads the body of a request to the engine, unless it is of another media type or the server is stopping; then tells so.
asio::awaitable<bool> Connection::read_body_of_type(Parser& parser, std::string_view wanted) {
  std::string_view type = parser.get()[http::field::content_type];
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  if (!beast::iequals(type, wanted)) {
    const bool is_json = wanted == "application/json";
    const std::string message = fmt::format("The body must be {} with Content-Type: {}, not '{}'.", is_json ? "JSON" : "a form", wanted, type.substr(0, 100));
    co_await send_error(api::error_reply({.status = 415, .message = message, .code = "unsupported_media_type"}));
    co_return false;
  }
  if (context_->stopping) {
    const api::ErrorText text{
        .status = 503, .message = "The server is stopping.", .type = "server_error", .code = "stopping"};
    co_await send_error(api::error_reply(text), "Retry-After: 5\r\n");
    co_return false;
  }
  co_return co_await read_body(parser);
}

asio::awaitable<void> Connection::chat(Parser& parser) {
  const bool read = co_await read_body_of_type(parser, "application/json");
  if (!read) co_return;
  if (log_.path == "/v1/audio/speech") co_await speak(std::move(parser.get().body()));
  else co_await answer(std::move(parser.get().body()));
}

}  // namespace calliope::server
