// One HTTP request over a fresh connection, for load drivers.
#pragma once

#include <optional>
#include <string>

#include "bench/live_client.h"

namespace calliope::bench {

struct HttpAnswer {
  int status = 0;
  std::string retry_after;
  std::string body;
};

/// Sends bytes as they are. The answer; none when the connection was closed before it was whole, or after `hang_up`, when
/// this side closes it.
asio::awaitable<std::optional<HttpAnswer>> http_ask(Server server, std::string bytes, std::chrono::milliseconds hang_up);

/// The bytes of a request with a JSON body.
std::string http_post(const Server& server, std::string_view path, std::string_view body);
std::string http_get(const Server& server, std::string_view path);

}  // namespace calliope::bench
