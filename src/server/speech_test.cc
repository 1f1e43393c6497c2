// POST /v1/audio/speech over a real socket.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "api/chat_request.h"
#include "server/scripted_engine.h"
#include "server/server.h"
#include "server/test_client.h"

namespace calliope::server {
namespace {

class NoMedia : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t>) override {
    return fail(ErrorCode::invalid_argument, "no picture.");
  }
  Result<assistant::Sound> sound(std::span<const uint8_t>, std::string_view) override {
    return fail(ErrorCode::invalid_argument, "no sound.");
  }
};

class SpeechTest : public testing::Test {
 protected:
  SpeechTest() {
    auto opened = Server::open({.port = 0}, engine_, std::make_shared<NoMedia>());
    EXPECT_TRUE(opened) << opened.error().message;
    server_ = *std::move(opened);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~SpeechTest() override {
    server_->stop();
    thread_.join();
  }

  static void start_post(TestClient& client, std::string_view body, std::string_view version = "1.1") {
    client.write("POST /v1/audio/speech HTTP/" + std::string(version) +
                 "\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                 "\r\n\r\n" + std::string(body));
  }
  Response post(std::string_view body) const {
    TestClient client(server_->port());
    start_post(client, body);
    return client.read();
  }
  static std::string body(std::string_view input, std::string_view fields = {}) {
    return R"({"model":"scripted","voice":"default",)" + std::string(fields) + R"("input":")" + std::string(input) +
           R"("})";
  }

  std::shared_ptr<ScriptedEngine> engine_ = std::make_shared<ScriptedEngine>();
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(SpeechTest, SendsEveryFormatInChunks) {
  const struct {
    const char* name;
    const char* type;
    std::string_view begins;
  } cases[] = {{"mp3", "audio/mpeg", "\xff\xf3"}, {"opus", "audio/ogg", "OggS"}, {"aac", "audio/aac", "\xff\xf1"},
               {"flac", "audio/flac", "fLaC"},    {"wav", "audio/wav", "RIFF"},  {"pcm", "audio/pcm", ""}};
  for (const auto& [name, type, begins] : cases) {
    const Response response = post(body("hello", "\"response_format\":\"" + std::string(name) + "\","));
    ASSERT_EQ(response.status, 200) << name << response.body;
    EXPECT_TRUE(response.has("content-type: " + std::string(type) + "\r\n")) << response.head;
    EXPECT_TRUE(response.has("transfer-encoding: chunked")) << name;
    EXPECT_TRUE(response.body.starts_with(begins)) << name;
    EXPECT_GT(response.body.size(), 300u) << name;
  }
  // "You said: hello" is four pieces of 0.1 s.
  EXPECT_EQ(post(body("hello", R"("response_format":"pcm",)")).body.size(), 4u * 2400 * 2);
  EXPECT_NEAR(double(post(body("hello", R"("response_format":"pcm","speed":2,)")).body.size()), 4.0 * 2400, 1500);
  EXPECT_TRUE(post(body("hello")).has("content-type: audio/mpeg"));  // unless it is asked for another
}

TEST_F(SpeechTest, TheEngineIsGivenTheTextAlone) {
  post(body("Read \\u00e9 this.", R"("voice":{"id":"DEFAULT"},"instructions":"Slowly.","speed":1.5,)"));
  const assistant::Request request = engine_->last();
  EXPECT_EQ(request.read_aloud, "Read \u00e9 this.");
  EXPECT_EQ(request.voice, "");
  EXPECT_TRUE(request.speak && request.live);
  EXPECT_EQ(request.playback_speed, 1.5);
  ASSERT_EQ(request.turns.size(), 1u);
  EXPECT_EQ(std::get<std::string>(request.turns[0].parts[0]), "Slowly.");
}

TEST_F(SpeechTest, SendsEvents) {
  const Response response = post(body("hello", R"("stream_format":"sse","response_format":"pcm",)"));
  EXPECT_TRUE(response.has("content-type: text/event-stream"));
  EXPECT_TRUE(response.body.starts_with(R"(data: {"type":"speech.audio.delta","audio":")"))
      << response.body.substr(0, 80);
  EXPECT_TRUE(response.body.ends_with(
      "data: "
      "{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":12,\"output_tokens\":2,\"total_tokens\":14}}\n\n"))
      << response.body.substr(response.body.size() - 150);
}

TEST_F(SpeechTest, ErrorsAreOpenAis) {
  const auto refused = [&](std::string_view asked, int status, std::string_view part) {
    const Response response = post(asked);
    EXPECT_EQ(response.status, status) << asked.substr(0, 100) << response.body;
    EXPECT_NE(response.body.find(part), std::string::npos) << response.body;
    EXPECT_TRUE(response.body.starts_with(R"({"error":{"message":)")) << response.body;
  };
  refused(body("hi", R"("voice":"alloy",)"), 400, "there is no voice 'alloy'; this model has: default.");
  refused(body(""), 400, R"("param":"input")");
  refused(R"({"model":"scripted","voice":"default"})", 400, "Missing required parameter: 'input'");
  refused(body(std::string(4097, 'a')), 400, "at most 4096 characters");
  refused(body("hi", R"("response_format":"ogg",)"), 400, R"("param":"response_format")");
  refused(body("hi", R"("speed":5,)"), 400, R"("param":"speed")");
  refused(body("hi", R"("stream_format":"video",)"), 400, R"("param":"stream_format")");
  refused(R"({"model":"gpt-4o-mini-tts","input":"hi","voice":"default"})", 404, "model_not_found");
  refused(body("mute"), 400, "has no voice");
  refused(body("full"), 429, "rate_limit_exceeded");
  refused(body("fail"), 500, "A step failed.");
  refused("[]", 400, "a JSON object");
  EXPECT_EQ(TestClient(server_->port()).get("/v1/audio/speech").status, 405);
  // Characters are counted, not bytes.
  std::string wide;
  for (int i = 0; i < 4096; ++i) wide += "\u00e9";
  EXPECT_EQ(post(body(wide, R"("response_format":"pcm",)")).status, 200);
}

TEST_F(SpeechTest, ALateFailureLooksCutOff) {
  TestClient client(server_->port());
  start_post(client, body("fail after sound", R"("response_format":"pcm",)"));
  EXPECT_EQ(client.read_head().status, 200);
  engine_->heard = true;
  std::string rest;
  while (client.more()) {
  }
  rest = client.take(1 << 20);
  EXPECT_FALSE(rest.ends_with("0\r\n\r\n"));  // no last chunk
  engine_->heard = false;
  TestClient listener(server_->port());
  start_post(listener, body("fail after sound", R"("stream_format":"sse","response_format":"pcm",)"));
  EXPECT_TRUE(listener.wait_for("speech.audio.delta"));
  engine_->heard = true;
  EXPECT_TRUE(listener.wait_for("A later step failed."));
  EXPECT_TRUE(listener.wait_for("\r\n0\r\n\r\n"));
}

TEST_F(SpeechTest, AClientThatGoesAwayCancels) {
  TestClient client(server_->port());
  start_post(client, body("wait"));
  for (int i = 0; i < 5000 && engine_->last().read_aloud != "wait"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  client.close();
  for (int i = 0; i < 5000 && engine_->cancelled == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(engine_->cancelled, 1);
  const std::string metrics = TestClient(server_->port()).get("/metrics").body;
  EXPECT_NE(metrics.find(R"(route="/v1/audio/speech")"), std::string::npos);
  EXPECT_NE(metrics.find(R"(calliope_answers_total{api="speech",outcome="client_gone"} 1)"), std::string::npos)
      << metrics;
}

TEST_F(SpeechTest, Http10GetsBareBytes) {
  TestClient client(server_->port());
  start_post(client, body("hello", R"("response_format":"pcm",)"), "1.0");
  const Response response = client.read();
  EXPECT_FALSE(response.has("chunked"));
  EXPECT_EQ(response.body.size(), 4u * 2400 * 2);
}

}  // namespace
}  // namespace calliope::server
