#include <gtest/gtest.h>

#include "media/base64.h"
#include "server/realtime_session.h"
#include "server/test_server.h"
#include "server/test_websocket.h"

namespace calliope::server {
namespace {

class RealtimeTest : public ServedTest {
 protected:
  static void say(TestWebSocket& socket, std::string_view text) {
    socket.send(
        R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":")" +
        std::string(text) + R"("}]}})");
    socket.send(R"({"type":"response.create"})");
  }
  static bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
};

TEST_F(RealtimeTest, AConversation) {
  start();
  TestWebSocket socket(port(), "/v1/realtime?model=scripted", "OpenAI-Safety-Identifier: somebody\r\nX-Max-Wait: 7\r\n");
  ASSERT_TRUE(socket.open());
  EXPECT_TRUE(socket.response().has("x-request-id: req_"));
  EXPECT_TRUE(has(socket.next(), R"("type":"session.created")"));
  EXPECT_TRUE(has(socket.next(), R"("type":"conversation.created")"));
  say(socket, "hello");
  EXPECT_TRUE(has(socket.wait("response.created"), R"("status":"in_progress")"));
  EXPECT_TRUE(has(socket.wait("response.output_audio.delta"), R"("delta":")"));
  EXPECT_TRUE(has(socket.wait("response.output_audio_transcript.done"), R"("transcript":"You said: hello")"));
  EXPECT_TRUE(has(socket.wait("response.done"), R"("status":"completed")"));
  EXPECT_EQ(engine_->last().user, "somebody");
  EXPECT_EQ(engine_->last().max_wait_s, 7);
  socket.send("\x03\xe8", 8);
  EXPECT_EQ(socket.next(), "close 1000 ");
}

TEST_F(RealtimeTest, TheBetaHasItsNames) {
  start();
  for (const char* header :
       {"OpenAI-Beta: realtime=v1\r\n", "Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1\r\n"}) {
    TestWebSocket socket(port(), "/v1/realtime", header);
    EXPECT_TRUE(has(socket.next(), R"("modalities":["text","audio"])"));
    say(socket, "hello");
    EXPECT_TRUE(has(socket.wait("response.audio.delta"), "delta"));
    EXPECT_TRUE(has(socket.wait("response.done"), R"("type":"audio","transcript":"You said: hello")"));
  }
}

TEST_F(RealtimeTest, OnlyWithAKey) {
  ServerOptions options;
  options.api_keys = {"right"};
  start(options);
  EXPECT_EQ(TestWebSocket(port()).response().status, 401);
  EXPECT_EQ(TestWebSocket(port(), "/v1/realtime", "Authorization: Bearer wrong\r\n").response().status, 401);
  EXPECT_TRUE(TestWebSocket(port(), "/v1/realtime", "Authorization: Bearer right\r\n").open());
  TestWebSocket browser(
      port(), "/v1/realtime",
      "Origin: https://else.where\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.right\r\n");
  EXPECT_TRUE(browser.open());
  EXPECT_TRUE(browser.response().has("sec-websocket-protocol: realtime\r\n"));
}

TEST_F(RealtimeTest, WithoutKeysOnlyOurOwnPage) {
  ServerOptions options;
  options.allow_origin = "https://good.example";
  start(options);
  EXPECT_EQ(TestWebSocket(port(), "/v1/realtime", "Origin: https://evil.example\r\n").response().status, 403);
  EXPECT_TRUE(TestWebSocket(port(), "/v1/realtime", "Origin: http://x\r\n").open());
  EXPECT_TRUE(TestWebSocket(port(), "/v1/realtime", "Origin: https://good.example\r\n").open());
}

TEST_F(RealtimeTest, ClientSecretsOpenSessionsThatAreBound) {
  ServerOptions options;
  options.api_keys = {"right"};
  start(options);
  TestClient client(port());
  const std::string body =
      R"({"expires_after":{"anchor":"created_at","seconds":60},"session":{"type":"realtime","instructions":"Be kind."}})";
  const std::string post =
      "POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n";
  client.write(post + "\r\n" + body);
  EXPECT_EQ(client.read().status, 401);
  TestClient again(port());
  again.write(post + "Authorization: Bearer right\r\n\r\n" + body);
  const Response response = again.read();
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(has(response.body, R"("instructions":"Be kind.")"));
  const size_t at = response.body.find("ek_");
  ASSERT_NE(at, std::string::npos);
  const std::string secret = response.body.substr(at, response.body.find('"', at) - at);
  TestWebSocket socket(port(), "/v1/realtime", "Authorization: Bearer " + secret + "\r\n");
  EXPECT_TRUE(has(socket.next(), R"("instructions":"Be kind.")"));
  EXPECT_EQ(TestWebSocket(port(), "/v1/realtime", "Authorization: Bearer " + secret + "x\r\n").response().status, 401);
  TestClient chat(port());
  EXPECT_EQ(
      chat.post(chat_body("hi"), "Content-Type: application/json\r\nAuthorization: Bearer " + secret + "\r\n").status,
      401);
}

TEST(ClientSecretsTest, ExpireAndAreLimited) {
  ClientSecrets secrets;
  EXPECT_TRUE(secrets.keep("a", {.model = "m"}, 100, 0));
  EXPECT_EQ(secrets.find("a", 99)->model, "m");
  EXPECT_FALSE(secrets.find("a", 100));
  for (size_t i = 1; i < ClientSecrets::kMost; ++i) secrets.keep(std::to_string(i), {}, 200, 0);
  EXPECT_FALSE(secrets.keep("b", {}, 200, 50));
  EXPECT_TRUE(secrets.keep("b", {}, 200, 150));  // a has made room
}

TEST_F(RealtimeTest, WhatCannotBeOpenedIsRefusedWithAReason) {
  start();
  TestClient plain(port());
  const Response upgrade = plain.get("/v1/realtime");
  EXPECT_EQ(upgrade.status, 426);
  EXPECT_TRUE(upgrade.has("upgrade: websocket"));
  EXPECT_EQ(TestWebSocket(port(), "/v1/realtime?model=gpt-realtime").response().status, 404);
  EXPECT_TRUE(has(TestWebSocket(port(), "/v1/realtime?model=gpt-realtime").response().body, "other/name"));
  EXPECT_EQ(TestWebSocket(port(), "/v1/realtime?call_id=1").response().status, 404);
}

TEST_F(RealtimeTest, BadEventsGetErrorsAndTheSessionGoesOn) {
  start();
  TestWebSocket socket(port());
  const auto complaint = [&](std::string_view event) {
    socket.send(event);
    return socket.wait("error");
  };
  EXPECT_TRUE(has(complaint("{"), R"("code":"invalid_json")"));
  EXPECT_TRUE(has(complaint(R"({"event_id":"mine","type":"nonsense"})"), R"("event_id":"mine")"));
  EXPECT_TRUE(has(complaint(R"({"type":"input_audio_buffer.commit"})"), "input_audio_buffer_commit_empty"));
  EXPECT_TRUE(has(complaint(R"({"type":"input_audio_buffer.append","audio":"%"})"), R"("param":"audio")"));
  EXPECT_TRUE(has(complaint(R"({"type":"conversation.item.delete","item_id":"x"})"), "item_delete_invalid_item_id"));
  // In pieces, and over the limit.
  socket.send(R"({"type":"response.)", 1, false);
  socket.send(R"(cancel"})", 0, true);
  EXPECT_TRUE(has(socket.wait("error"), "response_cancel_not_active"));
  const std::string large = R"({"type":"input_audio_buffer.append","audio":")" + std::string(16u << 20, 'A') + "\"}";
  EXPECT_TRUE(has(complaint(large), R"("code":"event_too_large")"));
  say(socket, "still there");
  EXPECT_TRUE(has(socket.wait("response.done"), "You said: still there"));
}

TEST_F(RealtimeTest, AFloodIsReadMoreSlowly) {
  start();
  TestWebSocket socket(port());
  for (int i = 0; i < 1100; ++i) socket.send(R"({"type":"input_audio_buffer.clear"})");
  EXPECT_TRUE(has(socket.wait("error"), "rate_limit_exceeded"));
  say(socket, "hello");
  EXPECT_TRUE(has(socket.wait("response.done"), "You said: hello"));
  using std::chrono::milliseconds;
  const auto now = FloodGate::Clock::now();
  FloodGate gate(now);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(gate.take(10, now).count(), 0);
  EXPECT_EQ(gate.take(10, now).count(), 5);
  EXPECT_EQ(gate.take(10, now + milliseconds(1000)).count(), 0);
  FloodGate wide(now);
  EXPECT_EQ(wide.take(15 << 20, now).count(), 0);
  EXPECT_EQ(wide.take(3 << 20, now).count(), 2000);
}

TEST_F(RealtimeTest, AClientThatVanishesFreesItsSlot) {
  start();
  TestWebSocket socket(port());
  say(socket, "wait");
  ASSERT_FALSE(socket.wait("response.created").empty());
  socket.close();
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
}

TEST_F(RealtimeTest, ASlowReaderHoldsUpNobody) {
  ServerOptions options;
  options.realtime.outbox_bytes = 1 << 20;
  start(options);
  TestWebSocket slow(port(), "/v1/realtime", {}, 4096);
  say(slow, "flood");
  TestWebSocket other(port());
  say(other, "hello");
  EXPECT_TRUE(has(other.wait("response.done"), "You said: hello"));
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));  // and is let go
}

TEST_F(RealtimeTest, WhenMemoryIsFullNoSessionIsOpened) {
  ServerOptions options;
  options.realtime_memory_bytes = 100'000;
  start(options);
  TestWebSocket first(port());
  ASSERT_TRUE(first.open());
  first.send(
      R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":")" +
      std::string(60'000, 'x') + R"("}]}})");
  ASSERT_FALSE(first.wait("conversation.item.done").empty());
  TestWebSocket second(port());
  EXPECT_EQ(second.response().status, 503);
  EXPECT_TRUE(second.response().has("retry-after: "));
  EXPECT_TRUE(has(second.response().body, R"("code":"memory_full")"));
  EXPECT_TRUE(has(TestClient(port()).get("/metrics").body, "\ncalliope_realtime_memory_limit_bytes 100000\n"));
  first.close();
  EXPECT_TRUE(soon([&] { return TestWebSocket(port()).open(); }));
}

TEST_F(RealtimeTest, SessionsEndAtTheirTime) {
  ServerOptions options;
  options.realtime.session = std::chrono::seconds(1);
  start(options);
  TestWebSocket socket(port());
  EXPECT_TRUE(has(socket.wait("error"), "session_expired"));
  EXPECT_EQ(socket.next(), "close 1000 The session has reached its maximum duration.");
}

TEST_F(RealtimeTest, AStoppingServerEndsTheAnswerFirst) {
  engine_->step_ms = 50;
  start();
  TestWebSocket idle(port());
  TestWebSocket socket(port());
  say(socket, "hello");
  ASSERT_FALSE(socket.wait("response.created").empty());
  server_->stop();
  EXPECT_TRUE(has(socket.wait("response.done"), "You said: hello"));
  EXPECT_EQ(socket.next(), "close 1001 The server is stopping.");
  EXPECT_FALSE(idle.wait("conversation.created").empty());
  EXPECT_EQ(idle.next(), "close 1001 The server is stopping.");
  socket.send("\x03\xe9", 8);
  idle.send("\x03\xe9", 8);
  socket.close();
  idle.close();
  stop();
}

}  // namespace
}  // namespace calliope::server
