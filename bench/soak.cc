// A mixed crowd on a server for a while: people who write, people who talk, people who hang up in the middle of a word, and
// some who send anything but what they should. Afterwards the server has to be whole: every answer that came to its end was
// the right one, memory has not grown, and no session is left. usage: calliope_soak URL CLIP... [--seconds 60]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <random>

#include "bench/http_client.h"
#include "bench/person.h"

namespace calliope::bench {
namespace {

using std::chrono::milliseconds;

/// What everybody shares.
struct Crowd {
  asio::io_context io;
  Server server;
  std::vector<Clip> clips;
  std::vector<std::string> bodies, expected;  ///< chat requests and what they are answered alone
  std::vector<std::string> questions, spoken;  ///< typed into Realtime sessions, and the transcripts of their answers
  Time until{};
  int going = 0;
  Tally talked;
  int right = 0, wrong = 0, refused = 0, hung_up = 0, realtime_right = 0, realtime_wrong = 0, malformed = 0, survived = 0;
  std::vector<std::string> complaints;

  bool on() const { return Clock::now() < until; }
  void complain(std::string what) {
    if (complaints.size() < 20) complaints.push_back(std::move(what));
  }
};

/// What a chat answer says and sounds like, whole or streamed.
std::string essence(const std::string& body) {
  std::string text, sound;
  const auto take = [&](const json::value& choice, const char* key) {
    const auto& message = choice.at(key).as_object();
    if (const auto* content = message.if_contains("content"); content != nullptr && content->is_string()) text += content->get_string();
    if (const auto* audio = message.if_contains("audio"); audio != nullptr && audio->is_object()) {
      if (const auto* words = audio->as_object().if_contains("transcript")) text += words->as_string();
      if (const auto* data = audio->as_object().if_contains("data")) sound += data->as_string();
    }
  };
  if (body.starts_with("{")) {
    take(json::parse(body).at("choices").at(0), "message");
  } else {
    for (size_t at = body.find("data: {"); at != std::string::npos; at = body.find("data: {", at + 1)) {
      const auto chunk = json::parse(body.substr(at + 6, body.find('\n', at) - at - 6));
      if (chunk.as_object().contains("error")) return "error: " + json::serialize(chunk);
      if (!chunk.at("choices").as_array().empty()) take(chunk.at("choices").at(0), "delta");
    }
    if (!body.ends_with("data: [DONE]\n\n")) return "cut: " + text;
  }
  return text + " | " + std::to_string(sound.size()) + " " + std::to_string(std::hash<std::string>{}(sound));
}

std::vector<std::string> chat_bodies() {
  std::vector<std::string> bodies;
  for (const char* question : {"What is the capital of France?", "How many legs does a spider have?", "What do bees make?", "Who are you?"}) {
    for (const char* fields : {"", R"("stream":true,)", R"("stream":true,"modalities":["text","audio"],"audio":{"voice":"default","format":"pcm16"},)",
                               R"("modalities":["text","audio"],"audio":{"voice":"default","format":"wav"},)"}) {
      bodies.push_back("{" + std::string(fields) + R"("temperature":0,"messages":[{"role":"user","content":")" + question + "\"}]}");
    }
  }
  return bodies;
}

/// Asks by HTTP, and leaves a third of the answers half read.
asio::awaitable<void> write(Crowd& crowd, uint32_t seed) {
  std::mt19937 random(seed);
  while (crowd.on()) {
    const size_t which = random() % crowd.bodies.size();
    const bool impatient = random() % 3 == 0;
    const auto answer = co_await http_ask(crowd.server, http_post(crowd.server, "/v1/chat/completions", crowd.bodies[which]),
                                          impatient ? milliseconds(random() % 200) : milliseconds(60'000));
    if (!answer) {
      ++(impatient ? crowd.hung_up : crowd.wrong);
      if (!impatient) crowd.complain("no answer to " + crowd.bodies[which]);
    } else if (answer->status == 429 || answer->status == 503) {
      ++crowd.refused;
      if (answer->retry_after.empty()) crowd.complain("refused without Retry-After");
      co_await sleep_for(milliseconds(200));
    } else if (answer->status == 200 && essence(answer->body) == crowd.expected[which]) {
      ++crowd.right;
    } else {
      ++crowd.wrong;
      crowd.complain(std::to_string(answer->status) + " to " + crowd.bodies[which] + ": " + essence(answer->body).substr(0, 200) +
                     " instead of " + crowd.expected[which]);
    }
  }
}

/// A Realtime session that is used by typing.
struct Typed {
  std::shared_ptr<LiveClient> client;
  std::string transcript, status, failure;
  int updated = 0, errors = 0;
  bool ended = false;

  static std::shared_ptr<Typed> open(Crowd& crowd) {
    const auto typed = std::make_shared<Typed>();
    typed->client = std::make_shared<LiveClient>(crowd.io, [typed = typed.get()](const json::object& event) { typed->take(event); });
    asio::co_spawn(
        crowd.io, [typed, server = crowd.server] { return typed->client->run(server); },
        [typed](std::exception_ptr, bool) { typed->ended = true; });
    return typed;
  }
  void take(const json::object& event) {
    const std::string_view type = event.at("type").as_string();
    if (type == "response.output_audio_transcript.delta") transcript += event.at("delta").as_string();
    if (type == "session.updated") ++updated;
    if (type == "error") ++errors;
    if (type == "response.done") status = event.at("response").at("status").as_string();
    if (status == "failed") failure = json::serialize(event.at("response"));
  }
  template <class Condition>
  asio::awaitable<bool> wait(int ms, Condition condition) {
    for (int i = 0; i < ms / 2 && !ended; ++i) {
      if (condition()) co_return true;
      co_await sleep_for(milliseconds(2));
    }
    co_return condition();
  }
  asio::awaitable<bool> ask(std::string question) {
    transcript.clear();
    status.clear();
    client->send(R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":")" +
                 question + "\"}]}}");
    client->send(R"({"type":"response.create","response":{"temperature":0}})");
    co_return co_await wait(60'000, [this] { return !status.empty(); });
  }
};

asio::awaitable<void> type(Crowd& crowd, uint32_t seed) {
  std::mt19937 random(seed);
  while (crowd.on()) {
    const auto typed = Typed::open(crowd);
    co_await typed->wait(10'000, [&] { return typed->client->open(); });
    const size_t which = random() % crowd.questions.size();
    if (random() % 3 == 0) {
      typed->client->send(R"({"type":"response.create"})");
      co_await sleep_for(milliseconds(random() % 300));
      typed->client->close(false);
      ++crowd.hung_up;
    } else {
      const bool answered = co_await typed->ask(crowd.questions[which]);
      if (answered && typed->status == "completed" && typed->transcript == crowd.spoken[which]) {
        ++crowd.realtime_right;
      } else if (typed->failure.find("rate_limit") != std::string::npos) {
        ++crowd.refused;
      } else {
        ++crowd.realtime_wrong;
        crowd.complain("realtime, " + crowd.questions[which] + ": '" + typed->transcript + "' (" + typed->status + ") " + typed->failure +
                       typed->client->why() + " instead of " + crowd.spoken[which]);
      }
      typed->client->close(random() % 2 == 0);
    }
    co_await typed->wait(5'000, [&] { return typed->ended; });
  }
}

/// Talks for a few seconds, then loses power.
asio::awaitable<void> talk(Crowd& crowd, uint32_t seed) {
  std::mt19937 random(seed);
  while (crowd.on()) {
    const Manners manners{.clips = &crowd.clips, .interrupts = 0.5};
    const auto person = std::make_shared<Person>(crowd.io, crowd.server, manners, random(), crowd.talked);
    const Time until = std::min(crowd.until, Clock::now() + milliseconds(3'000 + random() % 6'000));
    if (random() % 2 == 0) person->hang_up_at(Clock::now() + milliseconds(500 + random() % 5'000));
    co_await person->run(until);
  }
}

std::string nonsense(std::mt19937& random) {
  static const std::vector<std::string> kEvents = {
      "{}", "[]", "null", "", "{\"type\":", R"({"type":"no.such.event"})", R"({"type":7})",
      R"({"type":"input_audio_buffer.append","audio":"!!!!"})", R"({"type":"input_audio_buffer.append","audio":"AAA="})",
      R"({"type":"input_audio_buffer.append"})", R"({"type":"input_audio_buffer.commit"})",
      R"({"type":"conversation.item.truncate","item_id":"item_none","content_index":0,"audio_end_ms":100})",
      R"({"type":"conversation.item.truncate","item_id":5,"content_index":-1,"audio_end_ms":1e99})",
      R"({"type":"conversation.item.delete","item_id":"item_none"})", R"({"type":"conversation.item.retrieve"})",
      R"({"type":"conversation.item.create","item":{"type":"message","role":"nobody","content":[]}})",
      R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}})",
      R"({"type":"conversation.item.create","previous_item_id":"item_none","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}})",
      R"({"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcm","rate":7}}}}})",
      R"({"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","threshold":9}}}}})",
      R"({"type":"session.update","session":17})", R"({"type":"response.cancel","response_id":"resp_none"})",
      R"({"type":"response.create","response":{"input":[{"type":"item_reference","id":"item_none"}]}})",
      "\xff\xfe\xfd", std::string(1000, '['), R"({"type":"input_audio_buffer.append","audio":")" + std::string(2'000'000, 'A') + "\"}"};
  std::string event = kEvents[random() % kEvents.size()];
  if (!event.empty() && random() % 4 == 0) event[random() % event.size()] = static_cast<char>(random());
  return event;
}

/// Sends what it should not, over HTTP and in Realtime sessions, and looks whether a session still does what it should.
asio::awaitable<void> vandalise(Crowd& crowd, uint32_t seed) {
  static const std::string kRaw[] = {"GET / HTTP/1.1\r\n\r\n", "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99\r\n\r\n{", "\x16\x03\x01\x02",
                                     "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                                     "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
                                     "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\xc1\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
  std::mt19937 random(seed);
  while (crowd.on()) {
    if (random() % 3 == 0) {
      co_await http_ask(crowd.server, kRaw[random() % std::size(kRaw)], milliseconds(50 + random() % 200));
      ++crowd.malformed;
      continue;
    }
    const auto typed = Typed::open(crowd);
    co_await typed->wait(10'000, [&] { return typed->client->open(); });
    for (int i = 0; i < 20 && typed->client->open(); ++i) {
      typed->client->send(nonsense(random));
      ++crowd.malformed;
      co_await sleep_for(milliseconds(random() % 20));
    }
    const int before = typed->updated;
    typed->client->send(R"({"type":"session.update","session":{"type":"realtime"}})");
    if (co_await typed->wait(10'000, [&] { return typed->updated > before; })) ++crowd.survived;
    typed->client->close(random() % 2 == 0);
    co_await typed->wait(5'000, [&] { return typed->ended; });
  }
}

void start(Crowd& crowd, asio::awaitable<void> part) {
  ++crowd.going;
  asio::co_spawn(crowd.io, std::move(part), [&crowd](std::exception_ptr failure) {
    --crowd.going;
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& thrown) {
      crowd.complain(std::string("this driver: ") + thrown.what());
    }
  });
}

asio::awaitable<void> learn(Crowd& crowd) {
  for (const std::string& body : crowd.bodies) {
    const auto answer = co_await http_ask(crowd.server, http_post(crowd.server, "/v1/chat/completions", body), std::chrono::seconds(60));
    crowd.expected.push_back(answer && answer->status == 200 ? essence(answer->body) : "");
    if (crowd.expected.back().empty()) crowd.complain("alone, no answer to " + body);
  }
  for (const std::string& question : crowd.questions) {
    const auto typed = Typed::open(crowd);
    co_await typed->wait(10'000, [&] { return typed->client->open(); });
    co_await typed->ask(question);
    crowd.spoken.push_back(typed->transcript);
    if (typed->transcript.empty()) crowd.complain("alone, no answer to " + question + " over Realtime: " + typed->client->why() + typed->failure);
    typed->client->close(true);
    co_await typed->wait(5'000, [&] { return typed->ended; });
  }
}

asio::awaitable<void> soak(Crowd& crowd, int seconds) {
  co_await learn(crowd);
  if (!crowd.complaints.empty()) co_return;
  crowd.until = Clock::now() + std::chrono::seconds(seconds);
  for (uint32_t i = 0; i < 3; ++i) start(crowd, write(crowd, 100 + i));
  for (uint32_t i = 0; i < 3; ++i) start(crowd, type(crowd, 200 + i));
  for (uint32_t i = 0; i < 3; ++i) start(crowd, talk(crowd, 300 + i));
  for (uint32_t i = 0; i < 2; ++i) start(crowd, vandalise(crowd, 400 + i));
  co_await sleep_for(milliseconds(400 * seconds));
  const double early_mb = co_await read_metric(crowd.server, "process_resident_memory_bytes") / 1e6;
  for (int i = 0; i < 90'000 && crowd.going > 0; ++i) co_await sleep_for(milliseconds(2));
  if (crowd.going > 0) crowd.complain("somebody still waits for the server");

  double sessions = -1, realtime = -1;
  for (int i = 0; i < 100 && !(sessions == 0 && realtime == 0); ++i) {
    co_await sleep_for(milliseconds(100));
    sessions = co_await read_metric(crowd.server, "calliope_sessions");
    realtime = co_await read_metric(crowd.server, "calliope_realtime_sessions");
  }
  const double late_mb = co_await read_metric(crowd.server, "process_resident_memory_bytes") / 1e6;
  std::printf("%d chat answers right, %d wrong; %d Realtime answers right, %d wrong; %zu spoken exchanges; %d refused, %d hung up\n",
              crowd.right, crowd.wrong, crowd.realtime_right, crowd.realtime_wrong, crowd.talked.exchanges.size(), crowd.refused,
              crowd.hung_up);
  std::printf("%d malformed messages, after which %d sessions still did what they should\n", crowd.malformed, crowd.survived);
  std::printf("memory %.0f MB after 40 %%, %.0f MB at the end; sessions left: %.0f, of Realtime %.0f\n", early_mb, late_mb, sessions, realtime);
  if (crowd.wrong + crowd.realtime_wrong > 0) crowd.complain("answers were wrong");
  if (crowd.right == 0 || crowd.realtime_right == 0 || crowd.talked.exchanges.empty()) crowd.complain("some kind of request was never answered");
  if (crowd.survived == 0) crowd.complain("no session survived what is malformed");
  if (sessions != 0 || realtime != 0) crowd.complain("sessions are left");
  if (!(late_mb < early_mb * 1.1 + 32)) crowd.complain("memory grows");
}

int run(int argc, char** argv) {
  Crowd crowd;
  std::string url;
  std::vector<std::string> paths;
  int seconds = 60;
  CLI::App app{"A mixed, impolite crowd on a server, and whether it is whole afterwards."};
  app.add_option("url", url, "http://host:port")->required();
  app.add_option("clips", paths, "Sound files, each something that is said")->required();
  app.add_option("--seconds", seconds, "How long");
  CLI11_PARSE(app, argc, argv);
  const auto server = parse_url(url);
  if (!server) return std::fprintf(stderr, "%s\n", server.error().message.c_str()), 2;
  crowd.server = *server;
  for (const std::string& path : paths) {
    auto clip = read_clip(path);
    if (!clip) return std::fprintf(stderr, "%s\n", clip.error().message.c_str()), 2;
    crowd.clips.push_back(*std::move(clip));
  }
  crowd.bodies = chat_bodies();
  crowd.questions = {"What is the capital of France?", "What do bees make?", "What color is the sky?", "Who are you?"};
  asio::co_spawn(crowd.io, soak(crowd, seconds), [&crowd](std::exception_ptr failure) {
    if (failure) crowd.complain("this driver failed");
    crowd.io.stop();
  });
  crowd.io.run();
  for (const std::string& complaint : crowd.complaints) std::printf("WRONG: %s\n", complaint.c_str());
  return crowd.complaints.empty() ? 0 : 1;
}

}  // namespace
}  // namespace calliope::bench

int main(int argc, char** argv) { return calliope::bench::run(argc, argv); }
