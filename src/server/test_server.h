// A server on a free port in front of a scripted engine, for this room's tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "server/scripted_engine.h"
#include "server/server.h"

namespace calliope::server {

/// Takes no pictures and no sounds.
class NoMedia : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t>) override {
    return fail(ErrorCode::invalid_argument, "no picture.");
  }
  Result<assistant::Sound> sound(std::span<const uint8_t>, std::string_view) override {
    return fail(ErrorCode::invalid_argument, "no sound.");
  }
};

class ServedTest : public testing::Test {
 protected:
  void TearDown() override { stop(); }
  void start(ServerOptions options = {}) {
    options.port = 0;
    auto opened = Server::open(std::move(options), engine_, media_);
    ASSERT_TRUE(opened) << opened.error().message;
    server_ = *std::move(opened);
    thread_ = std::thread([this] { server_->run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }
  uint16_t port() const { return server_->port(); }
  /// Waits up to 10 s.
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::shared_ptr<api::MediaDecoder> media_ = std::make_shared<NoMedia>();
  std::shared_ptr<ScriptedEngine> engine_ = std::make_shared<ScriptedEngine>();
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace calliope::server
