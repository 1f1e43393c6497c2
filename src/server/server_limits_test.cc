// What one client may cost, who goes away, and how a server stops.
#include <gtest/gtest.h>

#include <thread>

#include "server/test_client.h"
#include "server/test_server.h"

namespace calliope::server {
namespace {

using std::chrono::milliseconds;

class ServerLimitsTest : public ServedTest {};

TEST_F(ServerLimitsTest, BoundsTheBody) {
  start({.body_bytes = 1000});
  const std::string big(5'000'000, ' ');
  {
    TestClient client(port());
    EXPECT_EQ(client.post(big).status, 413);  // all of it is sent before the answer is read
    EXPECT_TRUE(client.closed());
  }
  {
    TestClient client(port());
    client.write(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n800\r\n" +
        std::string(0x800, ' ') + "\r\n");
    EXPECT_EQ(client.read().status, 413);
  }
  TestClient client(port());
  EXPECT_EQ(client.post(chat_body("hi")).status, 200);
}

TEST_F(ServerLimitsTest, ReadsChunkedBodiesAndExpectContinue) {
  start();
  const std::string body = chat_body("hi");
  TestClient client(port());
  client.write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(client.wait_for("100 Continue"));
  client.write("5\r\n" + body.substr(0, 5) + "\r\n" +
               [&] {
                 char size[16];
                 std::snprintf(size, sizeof size, "%zx", body.size() - 5);
                 return std::string(size);
               }() +
               "\r\n" + body.substr(5) + "\r\n0\r\n\r\n");
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(ServerLimitsTest, BoundsWhatAllBodiesTakeTogether) {
  start({.all_bodies_bytes = 100'000});
  TestClient slow(port());
  slow.write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "99000\r\n\r\n{");
  EXPECT_TRUE(soon([&] {
    TestClient client(port());
    return client.post(std::string(2000, ' ')).status == 503;
  }));
  slow.close();
  EXPECT_TRUE(soon([&] {
    TestClient client(port());
    return client.post(chat_body("hi")).status == 200;
  }));
}

TEST_F(ServerLimitsTest, BoundsTheHeaderAndSlowSenders) {
  start({.header_bytes = 4096, .idle_timeout = milliseconds(200)});
  {
    TestClient client(port());
    EXPECT_EQ(client.get("/healthz", "X: " + std::string(10'000, 'x') + "\r\n").status, 431);
  }
  {
    TestClient idle(port());
    EXPECT_EQ(idle.get("/healthz").status, 200);
    EXPECT_TRUE(idle.closed());
  }
  stop();
  start({.header_timeout = milliseconds(200), .body_timeout = milliseconds(200)});
  {
    TestClient silent(port());
    EXPECT_TRUE(silent.closed());
  }
  {
    TestClient dripping(port());
    dripping.write("GET /healthz HT");
    EXPECT_TRUE(dripping.closed());
  }
  TestClient dripping(port());
  dripping.write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "100\r\n\r\n{");
  EXPECT_TRUE(dripping.closed());
}

TEST_F(ServerLimitsTest, SurvivesWhatIsNotHttp) {
  start();
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9), std::string("GET\r\n\r\n"),
        std::string("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc")}) {
    TestClient client(port());
    client.write(bytes + "\r\n\r\n");
    const Response response = client.read();
    EXPECT_TRUE(response.status == 400 || response.status == 0) << response.status;
  }
  TestClient client(port());
  EXPECT_EQ(client.get("/healthz").status, 200);
}

TEST_F(ServerLimitsTest, BoundsConnections) {
  start({.connections = 2});
  TestClient first(port()), second(port());
  EXPECT_EQ(first.get("/healthz").status, 200);
  EXPECT_EQ(second.get("/healthz").status, 200);
  {
    TestClient third(port());
    const Response response = third.read();
    EXPECT_EQ(response.status, 503);
    EXPECT_TRUE(response.body.ends_with("}}")) << response.body;
    EXPECT_TRUE(third.closed());
  }
  first.close();
  EXPECT_TRUE(soon([&] {
    TestClient again(port());
    return again.get("/healthz").status == 200;
  }));
}

TEST_F(ServerLimitsTest, AClientThatGoesCancelsItsRequest) {
  start();
  {
    TestClient whole(port());
    whole.start_post(chat_body("wait"));
    EXPECT_TRUE(soon([&] { return !engine_->last().turns.empty(); }));
  }
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
  {
    TestClient streamed(port());
    streamed.start_post(chat_body("wait", R"("stream":true,"model":"scripted",)"));
    EXPECT_TRUE(soon([&] { return engine_->last().turns.size() == 1; }));
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 2; }));
}

TEST_F(ServerLimitsTest, ASlowReaderIsCancelledAndDoesNotHoldUpTheEngine) {
  start({.stream_queue_bytes = 200'000});
  TestClient client(port(), 4096);
  client.start_post(chat_body("flood", R"("stream":true,)"));
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
  TestClient other(port());
  EXPECT_EQ(other.post(chat_body("hi")).status, 200);
  const Response response = client.read();
  EXPECT_NE(response.body.find("not read fast enough"), std::string::npos);
}

TEST_F(ServerLimitsTest, AReaderThatStandsStillIsDropped) {
  engine_->step_ms = 1;
  start({.stream_queue_bytes = 64u << 20, .write_timeout = milliseconds(300)});
  TestClient client(port(), 4096);
  client.start_post(chat_body("flood", R"("stream":true,)"));
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
}

TEST_F(ServerLimitsTest, StreamsSayTheyAreAlive) {
  start({.heartbeat = milliseconds(50)});
  TestClient client(port());
  client.start_post(chat_body("wait", R"("stream":true,)"));
  EXPECT_TRUE(client.wait_for(": still here"));
  EXPECT_TRUE(client.wait_for(R"("role":"assistant")"));
}

TEST_F(ServerLimitsTest, StoppingLetsRequestsEnd) {
  engine_->step_ms = 50;
  start();
  TestClient idle(port()), busy(port());
  EXPECT_EQ(idle.get("/healthz").status, 200);
  busy.start_post(chat_body("a longer text"));
  EXPECT_TRUE(soon([&] { return !engine_->last().turns.empty(); }));
  const uint16_t old_port = port();
  server_->stop();
  EXPECT_TRUE(idle.closed());
  const Response response = busy.read();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("connection: close"));
  thread_.join();
  EXPECT_FALSE(TestClient(old_port).connected());
}

TEST_F(ServerLimitsTest, WhileItDrainsNewRequestsAreRefusedAndOpenOnesEnd) {
  testing::internal::CaptureStderr();
  engine_->step_ms = 300;
  start({.header_timeout = std::chrono::minutes(10), .drain = milliseconds(60'000)});
  TestClient busy(port());
  busy.start_post(chat_body("a longer text, which takes seconds"));
  EXPECT_TRUE(soon([&] { return !engine_->last().turns.empty(); }));
  server_->stop();
  EXPECT_TRUE(soon([&] { return TestClient(port()).get("/readyz").status == 503; }));
  const Response alive = TestClient(port()).get("/healthz");
  EXPECT_EQ(alive.status, 200);
  TestClient late(port());
  const Response refused = late.post(chat_body("me too"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has("retry-after: "));
  EXPECT_TRUE(late.closed());
  TestClient lingering(port());  // says nothing, and holds up nobody
  const Response whole = busy.read();
  EXPECT_EQ(whole.status, 200);
  EXPECT_NE(whole.body.find("takes seconds"), std::string::npos);
  thread_.join();
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("did not end in time"), std::string::npos);
}

TEST_F(ServerLimitsTest, StoppingCancelsWhatDoesNotEnd) {
  start({.drain = milliseconds(100)});
  TestClient whole(port()), streamed(port());
  whole.start_post(chat_body("wait"));
  streamed.start_post(chat_body("wait", R"("stream":true,)"));
  EXPECT_TRUE(soon([&] { return engine_->submitted == 2; }));
  stop();
  EXPECT_EQ(engine_->cancelled, 2);
  EXPECT_EQ(whole.read().status, 503);
  EXPECT_NE(streamed.read().body.find("stopped"), std::string::npos);
}

TEST_F(ServerLimitsTest, APortInUseIsAClearError) {
  start();
  ServerOptions options;
  options.port = port();
  const auto second = Server::open(options, engine_, std::make_shared<NoMedia>());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
  options.host = "nowhere";
  EXPECT_EQ(Server::open(options, engine_, std::make_shared<NoMedia>()).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace calliope::server
