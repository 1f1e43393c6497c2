#include "bench/http_client.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

namespace calliope::bench {

namespace beast = boost::beast;
namespace http = beast::http;

asio::awaitable<std::optional<HttpAnswer>> http_ask(Server server, std::string bytes, std::chrono::milliseconds hang_up) {
  try {
    const auto executor = co_await asio::this_coro::executor;
    asio::ip::tcp::resolver resolver(executor);
    const auto found = co_await resolver.async_resolve(server.host, server.port, asio::use_awaitable);
    beast::tcp_stream stream(executor);
    stream.expires_after(hang_up);
    co_await stream.async_connect(found, asio::use_awaitable);
    co_await asio::async_write(stream, asio::buffer(bytes), asio::use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(256u << 20);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    HttpAnswer answer{.status = static_cast<int>(parser.get().result_int())};
    answer.retry_after = std::string(parser.get()[http::field::retry_after]);
    answer.body = std::move(parser.get().body());
    co_return answer;
  } catch (const std::exception&) {
    co_return std::nullopt;
  }
}

std::string http_post(const Server& server, std::string_view path, std::string_view body) {
  std::string bytes = "POST " + std::string(path) + " HTTP/1.1\r\nHost: " + server.host + "\r\nConnection: close\r\n";
  if (!server.key.empty()) bytes += "Authorization: Bearer " + server.key + "\r\n";
  return bytes + "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string http_get(const Server& server, std::string_view path) {
  std::string bytes = "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + server.host + "\r\nConnection: close\r\n";
  if (!server.key.empty()) bytes += "Authorization: Bearer " + server.key + "\r\n";
  return bytes + "\r\n";
}

}  // namespace calliope::bench
