#include "server/server.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <map>
#include <sstream>

#include "server/log.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace calliope::server {
namespace {

class ServerTest : public ServedTest {};

TEST_F(ServerTest, AnswersWholeOnOneKeptConnection) {
  start();
  TestClient client(port());
  for (const std::string text : {"one", "two"}) {
    const Response response = client.post(chat_body(text));
    EXPECT_EQ(response.status, 200);
    EXPECT_NE(response.body.find("\"content\":\"You said: " + text + "\""), std::string::npos) << response.body;
    EXPECT_TRUE(response.has("content-type: application/json\r\n"));
    EXPECT_TRUE(response.has("x-request-id: req_"));
    EXPECT_FALSE(response.has("connection: close"));
    EXPECT_FALSE(response.has("access-control"));
  }
  EXPECT_EQ(client.get("/healthz").body, R"({"status":"ok"})");
}

TEST_F(ServerTest, StreamsEventsAsTheyCome) {
  engine_->step_ms = 20;
  start();
  TestClient client(port());
  client.start_post(chat_body("hello there", R"("stream":true,"stream_options":{"include_usage":true},)"));
  ASSERT_TRUE(client.wait_for(R"("content":"You ")"));  // long before the end, which takes 6 steps
  const Response response = client.read();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("content-type: text/event-stream"));
  EXPECT_NE(response.body.find(R"("finish_reason":"stop")"), std::string::npos);
  EXPECT_NE(response.body.find(R"("total_tokens":16)"), std::string::npos);
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(client.get("/healthz").status, 200);  // the connection goes on
}

TEST_F(ServerTest, Http10GetsAStreamWithoutChunks) {
  start();
  TestClient client(port());
  const std::string body = chat_body("hi", R"("stream":true,)");
  client.write("POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  const Response response = client.read();
  EXPECT_FALSE(response.has("chunked"));
  EXPECT_TRUE(response.body.starts_with("data: {"));
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(ServerTest, SpeaksAndRemembersWhatItSaid) {
  start();
  TestClient client(port());
  const Response response =
      client.post(chat_body("hi", R"("modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"},)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_NE(response.body.find(R"("transcript":"You said: hi")"), std::string::npos);
  EXPECT_NE(response.body.find(R"("data":"UklGR)"), std::string::npos);  // RIFF
  const size_t at = response.body.find("audio_");
  const std::string id = response.body.substr(at, response.body.find('"', at) - at);
  const Response next = client.post(R"({"messages":[{"role":"assistant","audio":{"id":")" + id +
                                    R"("}},{"role":"user","content":"go on"}]})");
  ASSERT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(std::get<std::string>(engine_->last().turns[0].parts[0]), "You said: hi");
}

TEST_F(ServerTest, StreamsSpeechAsPcm16) {
  start();
  TestClient client(port());
  const Response response = client.post(
      chat_body("hi", R"("stream":true,"modalities":["text","audio"],"audio":{"voice":"alloy","format":"pcm16"},)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_NE(response.body.find(R"("transcript":"You ")"), std::string::npos);
  EXPECT_NE(response.body.find(R"("data":"AACO)"), std::string::npos);
  EXPECT_NE(response.body.find(R"("expires_at":)"), std::string::npos);
}

// What has nothing to send, as a mark of what was said, is no chunk: an empty one would end the stream.
TEST_F(ServerTest, AStreamOfSpeechGoesOnAfterAMark) {
  engine_->step_ms = 10;  // so that marks come alone
  start();
  TestClient client(port());
  const Response response = client.post(
      chat_body("hi", R"("stream":true,"modalities":["text","audio"],"audio":{"voice":"alloy","format":"pcm16"},)"));
  ASSERT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(R"("transcript":": hi")"), std::string::npos) << "the last of three pieces";
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(client.get("/healthz").status, 200);
}

TEST_F(ServerTest, RefusesInOpenAIsShape) {
  start();
  struct Case {
    std::string method, path, headers, body;
    int status;
    std::string says;
  };
  const std::string json = "Content-Type: application/json; charset=utf-8\r\n";
  const std::vector<Case> cases = {
      {"GET", "/v1/nothing", "", "", 404, "unknown_url"},
      {"GET", "/nothing", "", "", 404, "unknown_url"},
      {"GET", "/v1/models/gpt-4o", "", "", 404, R"("param":"model")"},
      {"GET", "/v1/chat/completions", "", "", 405, "use POST"},
      {"DELETE", "/v1/models", "", "", 405, "use GET"},
      {"POST", "/", json, "{}", 405, "use GET"},
      {"POST", "/v1/chat/completions", "Content-Type: text/plain\r\n", "{}", 415, "application/json"},
      {"POST", "/v1/chat/completions", "", "{}", 415, "application/json"},
      {"POST", "/v1/chat/completions", json, "{\"messages\":", 400, "not valid JSON"},
      {"POST", "/v1/chat/completions", json, "", 400, "empty"},
      {"POST", "/v1/chat/completions", json, "{}", 400, R"("param":"messages")"},
      {"POST", "/v1/chat/completions", json, chat_body("x", R"("model":"gpt-4o",)"), 404, "model_not_found"},
      {"POST", "/v1/chat/completions", json, chat_body("full"), 429, "The queue is full."},
      {"POST", "/v1/chat/completions", json, chat_body("long"), 400, "context_length_exceeded"},
      {"POST", "/v1/chat/completions", json, chat_body("fail"), 500, "A step failed."},
      {"POST", "/v1/chat/completions", json, chat_body("fail", R"("stream":true,)"), 500, "A step failed."},
  };
  for (const Case& bad : cases) {
    TestClient client(port());
    client.write(bad.method + " " + bad.path + " HTTP/1.1\r\nHost: x\r\n" + bad.headers +
                 (bad.method == "POST" ? "Content-Length: " + std::to_string(bad.body.size()) + "\r\n" : "") + "\r\n" +
                 bad.body);
    const Response response = client.read();
    EXPECT_EQ(response.status, bad.status) << bad.method << " " << bad.path << " " << bad.body;
    EXPECT_TRUE(response.body.starts_with(R"({"error":{"message":)")) << response.body;
    EXPECT_NE(response.body.find(bad.says), std::string::npos) << response.body;
    EXPECT_EQ(response.has("retry-after: 7\r\n"), bad.status == 429);
    EXPECT_EQ(response.has("allow: "), bad.status == 405);
  }
  TestClient client(port());
  EXPECT_EQ(client.get("/healthz").status, 200);
}

TEST_F(ServerTest, ARequestSaysHowLongItMayWait) {
  start();
  TestClient client(port());
  const std::string json = "Content-Type: application/json\r\n";
  EXPECT_EQ(client.post(chat_body("hi")).status, 200);
  EXPECT_EQ(engine_->last().max_wait_s, 0);
  EXPECT_EQ(client.post(chat_body("hi"), json + "X-Max-Wait: 2.5\r\n").status, 200);
  EXPECT_EQ(engine_->last().max_wait_s, 2.5);
  for (const char* bad : {"-1", "0", "soon", "1s", "nan", "3601"}) {
    TestClient other(port());
    const Response response = other.post(chat_body("hi"), json + "X-Max-Wait: " + bad + "\r\n");
    EXPECT_EQ(response.status, 400) << bad;
    EXPECT_NE(response.body.find(R"("param":"X-Max-Wait")"), std::string::npos) << response.body;
  }
}

TEST_F(ServerTest, AFailureInMidStreamIsAnErrorEvent) {
  start();
  TestClient client(port());
  const Response response = client.post(chat_body("fail late", R"("stream":true,)"));
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(R"(data: {"error":{"message":"A later step failed.")"), std::string::npos)
      << response.body;
  EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
}

TEST_F(ServerTest, ListsModels) {
  start();
  TestClient client(port());
  EXPECT_NE(client.get("/v1/models").body.find(R"("id":"scripted")"), std::string::npos);
  EXPECT_EQ(client.get("/v1/models/scripted").status, 200);
  EXPECT_NE(client.get("/v1/models/other%2Fname").body.find(R"("id":"other/name")"), std::string::npos);
  EXPECT_EQ(client.get("/v1/models/other/name").status, 200);
}

TEST_F(ServerTest, ServesThePageWithItsGuards) {
  start();
  TestClient client(port());
  const Response page = client.get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.has("content-type: text/html"));
  EXPECT_TRUE(page.has("content-security-policy: default-src 'none'; script-src 'self'"));
  EXPECT_TRUE(page.has("x-content-type-options: nosniff"));
  EXPECT_NE(page.body.find("<title>Calliope"), std::string::npos);
  const size_t at = page.head.find("etag: ") + 6;
  const std::string etag = page.head.substr(at, page.head.find("\r\n", at) - at);
  EXPECT_EQ(client.get("/", "If-None-Match: " + etag + "\r\n").status, 304);
  const Response head = client.get("/", "", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("content-length: " + std::to_string(page.body.size())));
  EXPECT_EQ(client.get("/../../etc/passwd").status, 404);
}

TEST_F(ServerTest, AsksForAKeyWhenItHasOne) {
  start({.api_keys = {"secret-1", "secret-2"}});
  TestClient client(port());
  EXPECT_EQ(client.get("/v1/models").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer wrong-11\r\n").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Basic secret-1\r\n").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer secret-2\r\n").status, 200);
  EXPECT_EQ(client.get("/healthz").status, 200);
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_EQ(client.post(chat_body("hi")).status, 401);
}

TEST_F(ServerTest, AllowsAnotherOriginOnlyWhenTold) {
  start({.allow_origin = "https://app.example"});
  TestClient client(port());
  const Response preflight = client.get("/v1/chat/completions", "Origin: https://app.example\r\n", "OPTIONS");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_TRUE(preflight.has("access-control-allow-origin: https://app.example\r\n"));
  EXPECT_TRUE(client.post(chat_body("hi")).has("access-control-allow-origin: https://app.example\r\n"));
}

TEST_F(ServerTest, KeepsARequestIdThatIsPlain) {
  start();
  TestClient client(port());
  EXPECT_TRUE(client.get("/healthz", "X-Request-Id: abc-1\r\n").has("x-request-id: abc-1\r\n"));
  EXPECT_TRUE(client.get("/healthz", "X-Request-Id: a b\r\n").has("x-request-id: req_"));
}

TEST_F(ServerTest, MetricsCountRequestsErrorsAndWhatTheEngineSays) {
  start();
  TestClient client(port());
  EXPECT_EQ(client.post(chat_body("hi")).status, 200);
  EXPECT_EQ(client.post(chat_body("full")).status, 429);
  EXPECT_EQ(client.get("/v1/models/scripted").status, 200);
  EXPECT_EQ(client.get("/made-up-1").status, 404);
  EXPECT_EQ(client.get("/made-up-2", "", "BREW").status, 404);
  const Response metrics = client.get("/metrics");
  ASSERT_EQ(metrics.status, 200);
  EXPECT_TRUE(metrics.has("content-type: text/plain; version=0.0.4; charset=utf-8"));
  for (const std::string line : {
           R"(calliope_http_requests_total{route="/v1/chat/completions",method="POST",status="200"} 1)",
           R"(calliope_http_requests_total{route="/v1/chat/completions",method="POST",status="429"} 1)",
           R"(calliope_http_requests_total{route="/v1/models/{id}",method="GET",status="200"} 1)",
           R"(calliope_http_requests_total{route="other",method="GET",status="404"} 1)",
           R"(calliope_http_requests_total{route="other",method="other",status="404"} 1)",
           R"(calliope_http_request_seconds_count{route="/v1/chat/completions"} 2)",
           R"(calliope_errors_total{code="rate_limit_exceeded"} 1)",
           R"(calliope_errors_total{code="unknown_url"} 2)",
           R"(calliope_answers_total{api="chat",outcome="ok"} 1)",
           "calliope_ready 1",
           "calliope_connections 1",
           "calliope_queue_requests 3",
           "calliope_playback_gaps_total 7",
           R"(calliope_batch_size_bucket{stage="decode",le="2"} 1)",
           R"(calliope_batch_size_bucket{stage="decode",le="1"} 0)",
           R"(calliope_cache_lookups_total{cache="prefix_pages",result="hit"} 4)",
           R"(calliope_cache_lookups_total{cache="prefix_pages",result="miss"} 1)",
           R"(calliope_first_audio_seconds_bucket{le="0.1"} 1)",
           "calliope_first_audio_seconds_sum 0.07",
       }) {
    EXPECT_NE(metrics.body.find("\n" + line + "\n"), std::string::npos) << line << "\n" << metrics.body;
  }
  EXPECT_EQ(metrics.body.find("made-up"), std::string::npos);
}

TEST_F(ServerTest, MetricsAskForAKeyWhenThereIsOne) {
  start({.api_keys = {"secret"}});
  EXPECT_EQ(TestClient(port()).get("/metrics").status, 401);
  EXPECT_EQ(TestClient(port()).get("/metrics", "Authorization: Bearer secret\r\n").status, 200);
  stop();
  start({.api_keys = {"secret"}, .metrics_key = "watching"});  // whoever watches cannot ask, and the other way round
  EXPECT_EQ(TestClient(port()).get("/metrics", "Authorization: Bearer secret\r\n").status, 401);
  EXPECT_EQ(TestClient(port()).get("/metrics", "Authorization: Bearer watching\r\n").status, 200);
  EXPECT_EQ(TestClient(port()).get("/v1/models", "Authorization: Bearer watching\r\n").status, 401);
  EXPECT_EQ(TestClient(port()).get("/readyz").status, 200);
}

TEST_F(ServerTest, LogsAJsonObjectALine) {
  testing::internal::CaptureStderr();
  start({.log_format = LogFormat::json});
  TestClient(port()).get("/no\"where\\\xff", "X-Request-Id: mine-1\r\n");
  TestClient(port()).post(chat_body("fail"));
  stop();
  set_log_format(LogFormat::text);  // of this process
  const std::string log = testing::internal::GetCapturedStderr();
  std::map<std::string, boost::json::object> by_path;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    ASSERT_FALSE(error) << line;
    if (value.at("event") == "request") by_path[std::string(value.at("path").as_string())] = value.as_object();
  }
  ASSERT_EQ(by_path.size(), 2u) << log;
  EXPECT_EQ(by_path.at("/no\"where\\\uFFFD").at("id"), "mine-1") << log;
  const auto& failed = by_path.at("/v1/chat/completions");
  EXPECT_EQ(failed.at("status"), 500);
  EXPECT_EQ(failed.at("level"), "warning");
  EXPECT_EQ(failed.at("detail"), "A step failed.");
  EXPECT_TRUE(failed.at("time").as_string().ends_with('Z'));
  EXPECT_GE(failed.at("ms").to_number<double>(), 0);
}

}  // namespace
}  // namespace calliope::server
