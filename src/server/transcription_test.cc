#include <gtest/gtest.h>

#include "hearing/test_recording.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace calliope::server {
namespace {

/// A file is "spoken": a second of speech, "long": six seconds with pauses, or "silent"; all else is none.
class FakeMedia : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t>) override {
    return fail(ErrorCode::invalid_argument, "no picture.");
  }
  Result<assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view) override {
    const std::string name(bytes.begin(), bytes.end());
    hearing::Recording recording;
    if (name == "spoken")
      recording.add(0.5).add(1, 0.3f).add(0.5);
    else if (name == "long")
      recording.add(0.5).add(1, 0.3f).add(1.5).add(1, 0.3f).add(1.5).add(1, 0.3f).add(0.5);
    else if (name == "silent")
      recording.samples.resize(16000);
    else
      return fail(ErrorCode::invalid_argument, "this is no sound.");
    return assistant::Sound{std::move(recording.samples)};
  }
};

class TranscriptionTest : public ServedTest {
 protected:
  TranscriptionTest() { media_ = std::make_shared<FakeMedia>(); }
  static std::string form(std::string_view file, std::string_view prompt, std::string_view fields = {}) {
    std::string body;
    const auto field = [&](std::string_view name, std::string_view value, std::string_view more = {}) {
      body += "--b\r\nContent-Disposition: form-data; name=\"" + std::string(name) + "\"" + std::string(more) +
              "\r\n\r\n" + std::string(value) + "\r\n";
    };
    if (!file.empty()) field("file", file, "; filename=\"a.wav\"");
    field("prompt", prompt);
    while (!fields.empty()) {  // name=value&...
      const std::string_view one = fields.substr(0, fields.find('&'));
      field(one.substr(0, one.find('=')), one.substr(one.find('=') + 1));
      fields.remove_prefix(std::min(fields.size(), one.size() + 1));
    }
    return body + "--b--\r\n";
  }
  void send(TestClient& client, std::string_view file, std::string_view prompt, std::string_view fields = {}) {
    client.start_post(form(file, prompt, fields), "Content-Type: multipart/form-data; boundary=b\r\n",
                      "/v1/audio/transcriptions");
  }
  Response ask(std::string_view file, std::string_view prompt, std::string_view fields = {}) {
    TestClient client(port());
    send(client, file, prompt, fields);
    return client.read();
  }
};

TEST_F(TranscriptionTest, WholeAsJson) {
  start();
  const Response response = ask("spoken", "hello", "model=scripted&temperature=0.5");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("content-type: application/json\r\n"));
  EXPECT_EQ(
      response.body,
      R"({"text":"You said: hello","usage":{"type":"tokens","input_tokens":12,"input_token_details":{"text_tokens":12,"audio_tokens":0},"output_tokens":4,"total_tokens":16}})");
  const assistant::Request request = engine_->last();
  ASSERT_EQ(request.turns.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<assistant::SoundPart>(request.turns[0].parts[0]));
  EXPECT_EQ(request.sampling.temperature, 0.5f);
  ask("spoken", "hello");
  EXPECT_EQ(engine_->last().sampling.temperature, 0.0f);  // not the model's own
}

TEST_F(TranscriptionTest, ALongSoundPieceByPieceWithItsTimes) {
  start();
  EXPECT_NE(ask("long", "x").body.find(R"({"text":"You said: x You said: x You said: x",)"), std::string::npos);
  const Response text = ask("long", "x", "response_format=text");
  EXPECT_TRUE(text.has("content-type: text/plain; charset=utf-8\r\n"));
  EXPECT_EQ(text.body, "You said: x You said: x You said: x\n");
  const Response srt = ask("long", "x", "response_format=srt");
  EXPECT_TRUE(srt.body.starts_with("1\n00:00:00,2")) << srt.body;
  EXPECT_NE(srt.body.find("\n\n3\n00:00:05,2"), std::string::npos) << srt.body;
  EXPECT_TRUE(ask("long", "x", "response_format=vtt").body.starts_with("WEBVTT\n\n00:00:00.2"));
  const Response verbose = ask("long", "x", "response_format=verbose_json&language=de");
  EXPECT_NE(verbose.body.find(R"("language":"german","duration":7E0,)"), std::string::npos) << verbose.body;
  EXPECT_NE(verbose.body.find(R"({"id":2,)"), std::string::npos) << verbose.body;
}

TEST_F(TranscriptionTest, SilenceAsksNobody) {
  start();
  EXPECT_TRUE(ask("silent", "x").body.starts_with(R"({"text":"",)"));
  EXPECT_TRUE(engine_->last().turns.empty());
  const Response streamed = ask("silent", "x", "stream=true");
  EXPECT_TRUE(streamed.body.starts_with(R"(data: {"type":"transcript.text.done","text":"",)")) << streamed.body;
}

TEST_F(TranscriptionTest, StreamsAsItComes) {
  engine_->step_ms = 20;
  start();
  TestClient client(port());
  send(client, "long", "there", "stream=true");
  ASSERT_TRUE(client.wait_for(R"(data: {"type":"transcript.text.delta","delta":"You)"));
  const Response response = client.read();
  EXPECT_TRUE(response.has("content-type: text/event-stream"));
  EXPECT_NE(
      response.body.find(
          R"(data: {"type":"transcript.text.done","text":"You said: there You said: there You said: there","usage":{"type":"tokens","input_tokens":36,)"),
      std::string::npos)
      << response.body;
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(client.get("/healthz").status, 200);  // the connection goes on
}

TEST_F(TranscriptionTest, RefusesInOpenAIsShape) {
  start();
  const struct {
    std::string file, prompt, fields;
    int status;
    std::string says;
  } cases[] = {
      {"", "x", "", 400, R"("param":"file")"},
      {"noise", "x", "", 400, R"(Invalid value for 'file': this is no sound.)"},
      {"spoken", "x", "model=gpt-4o", 404, "model_not_found"},
      {"spoken", "x", "response_format=xml", 400, R"("param":"response_format")"},
      {"spoken", "full", "", 429, "The queue is full."},
      {"spoken", "full", "stream=true", 429, "The queue is full."},
      {"spoken", "long", "", 400, R"("param":"file","code":"context_length_exceeded")"},
      {"spoken", "fail", "", 500, "A step failed."},
      {"spoken", "fail", "stream=true", 500, "A step failed."},
      {"spoken", "fail late", "", 500, "A later step failed."},
  };
  for (const auto& bad : cases) {
    const Response response = ask(bad.file, bad.prompt, bad.fields);
    EXPECT_EQ(response.status, bad.status) << response.body;
    EXPECT_TRUE(response.body.starts_with(R"({"error":{"message":)")) << response.body;
    EXPECT_NE(response.body.find(bad.says), std::string::npos) << response.body;
    EXPECT_EQ(response.has("retry-after: 7\r\n"), bad.status == 429);
  }
  TestClient listener(port());
  send(listener, "spoken", "fail after sound", "stream=true");
  EXPECT_TRUE(listener.wait_for("transcript.text.delta"));
  engine_->heard = true;
  const Response late = listener.read();
  EXPECT_EQ(late.status, 200);
  EXPECT_NE(late.body.find(R"(data: {"error":{"message":"A later step failed.")"), std::string::npos) << late.body;
  EXPECT_EQ(late.body.find("[DONE]"), std::string::npos);

  TestClient client(port());
  client.start_post("{}", "Content-Type: application/json\r\n", "/v1/audio/transcriptions");
  EXPECT_EQ(client.read().status, 415);
  EXPECT_EQ(TestClient(port()).get("/v1/audio/transcriptions").status, 405);
  TestClient translator(port());
  translator.start_post(form("spoken", "x"), "Content-Type: multipart/form-data; boundary=b\r\n",
                        "/v1/audio/translations");
  const Response translation = translator.read();
  EXPECT_EQ(translation.status, 400);
  EXPECT_NE(translation.body.find("/v1/audio/transcriptions"), std::string::npos) << translation.body;
}

TEST_F(TranscriptionTest, AClientThatGoesCancels) {
  start();
  TestClient client(port());
  send(client, "spoken", "wait");
  ASSERT_TRUE(soon([&] { return !engine_->last().turns.empty(); }));
  client.close();
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
}

TEST_F(TranscriptionTest, AllSoundsTogetherAreBounded) {
  start({.all_transcribed_bytes = 200'000});  // one of two seconds
  TestClient first(port());
  send(first, "spoken", "wait");
  ASSERT_TRUE(soon([&] { return !engine_->last().turns.empty(); }));
  const Response second = ask("spoken", "x");
  EXPECT_EQ(second.status, 429) << second.body;
  EXPECT_TRUE(second.has("retry-after: "));
  first.close();
  EXPECT_TRUE(soon([&] { return engine_->cancelled == 1; }));
  EXPECT_TRUE(soon([&] { return ask("spoken", "x").status == 200; }));
}

TEST_F(TranscriptionTest, IsCounted) {
  start();
  ask("spoken", "x");
  ask("spoken", "full");
  const std::string metrics = TestClient(port()).get("/metrics").body;
  for (const std::string line :
       {R"(calliope_http_requests_total{route="/v1/audio/transcriptions",method="POST",status="200"} 1)",
        R"(calliope_http_requests_total{route="/v1/audio/transcriptions",method="POST",status="429"} 1)",
        R"(calliope_answers_total{api="transcription",outcome="ok"} 1)"}) {
    EXPECT_NE(metrics.find("\n" + line + "\n"), std::string::npos) << line << "\n" << metrics;
  }
}

}  // namespace
}  // namespace calliope::server
