#include "server/server.h"

#include <fmt/format.h>

#include <set>
#include <thread>

#include "server/connection.h"
#include "server/log.h"

namespace calliope::server {

class Server::Impl {
 public:
  Impl(ServerOptions options, std::shared_ptr<assistant::Engine> engine, std::shared_ptr<api::MediaDecoder> decoder)
      : context_(std::make_shared<Context>(std::move(options), std::move(engine), std::move(decoder))),
        strand_(asio::make_strand(io_)),
        acceptor_(strand_),
        signals_(strand_),
        deadline_(strand_),
        backoff_(strand_) {}

  Result<void> listen() {
    const auto& options = context_->options;
    const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("cannot listen on '{}': give an IP address, such as 127.0.0.1 or 0.0.0.0", options.host),
                  "host");
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      return fail(ErrorCode::io,
                  fmt::format("port {} of {} is in use: stop what listens there, or choose another with --port",
                              options.port, host),
                  "port");
    }
    if (error) {
      return fail(ErrorCode::io, fmt::format("cannot listen on {} port {}: {}", host, options.port, error.message()),
                  "port");
    }
    port_ = acceptor_.local_endpoint().port();
    return {};
  }

  uint16_t port() const { return port_; }
  std::string url() const {
    const std::string& host = context_->options.host;
    if (host.find(':') != std::string::npos) return fmt::format("http://[{}]:{}", host, port_);
    return fmt::format("http://{}:{}", host, port_);
  }

  void run() {
    if (context_->options.handle_signals) {
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
      wait_for_signal();
    }
    asio::co_spawn(strand_, accept(), asio::detached);
    std::vector<std::jthread> threads;
    for (int i = 1; i < context_->options.io_threads; ++i) threads.emplace_back([this] { work(); });
    work();
    threads.clear();
    context_->active.cancel_all();
    context_->workers.join();
  }

  void stop() {
    asio::post(strand_, [this] { begin_stop(); });
  }

 private:
  /// One thread's share. What a library throws ends one connection at most.
  void work() {
    while (true) {
      try {
        io_.run();
        return;
      } catch (const std::exception& failure) {
        logger().error("unexpected: {}", failure.what());
      }
    }
  }

  void wait_for_signal() {
    signals_.async_wait([this](error_code error, int signal) {
      if (error) return;
      if (context_->stopping) {
        logger().warn("second signal: ending at once");
        io_.stop();
        return;
      }
      logger().info("signal {}: draining; a second one ends at once", signal);
      begin_stop();
      if (!connections_.empty()) wait_for_signal();
    });
  }

  asio::awaitable<void> accept() {
    while (acceptor_.is_open()) {
      error_code error;
      tcp::socket socket(asio::make_strand(io_));
      co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) break;
      if (error) {  // out of descriptors, or the client gave up: neither may end the server
        if (error != asio::error::connection_aborted) {
          logger().warn("cannot accept: {}", error.message());
          backoff_.expires_after(std::chrono::milliseconds(100));
          co_await backoff_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        }
        continue;
      }
      if (connections_.size() + late_.size() >= static_cast<size_t>(context_->options.connections)) {
        ++context_->metrics.connections_refused;
        refuse(socket);
        continue;
      }
      const auto connection = std::make_shared<Connection>(std::move(socket), context_);
      (context_->stopping ? late_ : connections_).insert(connection);
      ++context_->metrics.connections;
      asio::co_spawn(
          connection->executor(), connection->run(),
          asio::bind_executor(strand_, [this, connection](std::exception_ptr failure) { ended(connection, failure); }));
    }
  }

  static void refuse(tcp::socket& socket) {
    static constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Type: application/json\r\n"
        "Content-Length: 116\r\n\r\n"
        R"({"error":{"message":"Too many connections; try again.","type":"server_error","param":null,"code":"overloaded"}})";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kBusy), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void ended(const std::shared_ptr<Connection>& connection, std::exception_ptr failure) {
    connections_.erase(connection);
    late_.erase(connection);
    --context_->metrics.connections;
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& thrown) {
      logger().error("a connection failed: {}", thrown.what());
    }
    finish_stop_if_empty();
  }

  /// From here on requests in flight end, and new ones, which still find somebody listening, are refused.
  void begin_stop() {
    if (context_->stopping.exchange(true)) return;
    for (const auto& connection : connections_) connection->close_when_idle();
    deadline_.expires_after(context_->options.drain);
    deadline_.async_wait([this](error_code error) {
      if (error) return;
      logger().warn("{} connections did not end in time: cancelling", connections_.size());
      context_->active.cancel_all();
      deadline_.expires_after(std::chrono::seconds(2));
      deadline_.async_wait([this](error_code again) {
        if (!again) io_.stop();
      });
    });
    finish_stop_if_empty();
  }

  void finish_stop_if_empty() {
    if (!context_->stopping || !connections_.empty()) return;
    error_code ignored;
    acceptor_.close(ignored);
    backoff_.cancel();
    signals_.cancel(ignored);
    deadline_.cancel();
    if (late_.empty()) return;
    for (const auto& connection : late_) connection->close_when_idle();
    deadline_.expires_after(std::chrono::seconds(1));
    deadline_.async_wait([this](error_code error) {
      if (!error) io_.stop();
    });
  }

  std::shared_ptr<Context> context_;
  asio::io_context io_;
  asio::strand<asio::io_context::executor_type> strand_;  ///< guards everything below
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer deadline_;  ///< of draining
  asio::steady_timer backoff_;   ///< of accepting
  std::set<std::shared_ptr<Connection>> connections_;
  std::set<std::shared_ptr<Connection>> late_;  ///< that came when the server was stopping: their requests are refused
  uint16_t port_ = 0;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, std::shared_ptr<assistant::Engine> engine,
                                             std::shared_ptr<api::MediaDecoder> decoder) {
  set_log_format(options.log_format);
  auto impl = std::make_unique<Impl>(std::move(options), std::move(engine), std::move(decoder));
  TRY_VOID(impl->listen());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->port(); }
std::string Server::url() const { return impl_->url(); }
void Server::run() { impl_->run(); }
void Server::stop() { impl_->stop(); }

}  // namespace calliope::server
