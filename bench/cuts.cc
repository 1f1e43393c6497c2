#include "bench/cuts.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <cstdio>
#include <random>

#include "media/base64.h"
#include "media/wire_sound.h"

namespace calliope::bench {

using std::chrono::milliseconds;

namespace {

constexpr const char* kQuestions[] = {
    "What is the capital of France?", "What is the capital of Japan?", "How many legs does a spider have?",
    "What color is the sky?",         "What do bees make?",            "What is the opposite of hot?",
    "Who are you?",                   "Tell me a fact about the moon."};

/// One socket, used by typing.
struct Typist {
  std::shared_ptr<LiveClient> client;
  std::string item, transcript, kept;
  std::vector<float> sound;
  bool ready = false, done = false, retrieved = false, truncated = false;
  int errors = 0;

  void take(const json::object& event) {
    const std::string type(event.at("type").as_string());
    if (type == "session.updated") ready = true;
    if (type == "response.output_audio.delta") {
      item = event.at("item_id").as_string();
      if (const auto bytes = media::decode_base64(event.at("delta").as_string())) media::from_wire(*bytes, media::WireFormat::pcm16, sound);
    }
    if (type == "response.output_audio_transcript.delta") transcript += event.at("delta").as_string();
    if (type == "response.done") done = true;
    if (type == "conversation.item.truncated") truncated = true;
    if (type == "conversation.item.retrieved") {
      const auto& part = event.at("item").at("content").as_array().back().as_object();
      kept = part.if_contains("transcript") != nullptr ? part.at("transcript").as_string() : json::string();
      retrieved = true;
    }
    if (type == "error") ++errors;
  }
  asio::awaitable<bool> wait(const bool& flag) {
    for (int i = 0; i < 30'000 && client->open(); ++i) {
      if (flag) co_return true;
      co_await sleep_for(milliseconds(1));
    }
    co_return flag;
  }
};

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c != ' ' && c != '\n') {
      word.push_back(c);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

/// First and last loud sample.
std::pair<size_t, size_t> loud_part(const std::vector<float>& sound) {
  float loudest = 0;
  for (const float sample : sound) loudest = std::max(loudest, std::abs(sample));
  size_t first = 0, last = sound.size();
  while (first < last && std::abs(sound[first]) < 0.03f * loudest) ++first;
  while (last > first && std::abs(sound[last - 1]) < 0.03f * loudest) --last;
  return {first, last};
}

/// How many words have ended at `sample` when every letter takes the same time.
int words_ended(const std::vector<std::string>& words, const std::vector<float>& sound, size_t sample) {
  const auto [first, last] = loud_part(sound);
  double letters = 0;
  for (const auto& word : words) letters += static_cast<double>(word.size()) + 1;
  double at = static_cast<double>(first);
  const double step = static_cast<double>(last - first) / std::max(1.0, letters);
  int ended = 0;
  for (const auto& word : words) {
    at += step * (static_cast<double>(word.size()) + 1);
    if (at <= static_cast<double>(sample) + step) ++ended;
  }
  return ended;
}

}  // namespace

asio::awaitable<void> check_cuts(asio::io_context& io, Server server, int cuts) {
  const auto typist = std::make_shared<Typist>();
  typist->client = std::make_shared<LiveClient>(io, [typist = typist.get()](const json::object& event) { typist->take(event); });
  asio::co_spawn(
      io, [typist, server] { return typist->client->run(server); }, asio::detached);
  for (int i = 0; i < 5'000 && !typist->client->open(); ++i) co_await sleep_for(milliseconds(2));
  LiveClient& client = *typist->client;
  client.send(R"({"type":"session.update","session":{"type":"realtime","output_modalities":["audio"],"audio":{"input":{"turn_detection":null}}}})");
  co_await typist->wait(typist->ready);

  std::mt19937 random(7);
  int checked = 0, prefixes = 0, close = 0, exact = 0, refused_beyond = 0;
  for (int i = 0; i < cuts && client.open(); ++i) {
    typist->transcript.clear();
    typist->sound.clear();
    typist->done = typist->retrieved = typist->truncated = false;
    const std::string question = kQuestions[random() % std::size(kQuestions)];
    client.send(R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":")" +
                question + "\"}]}}");
    client.send(R"({"type":"response.create","response":{"conversation":"auto"}})");
    if (!co_await typist->wait(typist->done) || typist->sound.empty()) continue;
    const auto truncate = [&](size_t ms) {
      client.send(R"({"type":"conversation.item.truncate","item_id":")" + typist->item + R"(","content_index":0,"audio_end_ms":)" +
                  std::to_string(ms) + "}");
    };
    const size_t all_ms = typist->sound.size() * 1000 / kRate;
    const int errors = typist->errors;
    truncate(all_ms + 100);  // more than was sent: refused, and nothing is lost
    const size_t ms = random() % (all_ms + 1);
    truncate(ms);
    client.send(R"({"type":"conversation.item.retrieve","item_id":")" + typist->item + "\"}");
    if (!co_await typist->wait(typist->retrieved)) continue;
    refused_beyond += typist->errors == errors + 1 ? 1 : 0;
    const auto words = words_of(typist->transcript), kept = words_of(typist->kept);
    ++checked;
    const bool prefix = kept.size() <= words.size() && std::equal(kept.begin(), kept.end(), words.begin());
    prefixes += prefix ? 1 : 0;
    const int away = std::abs(static_cast<int>(kept.size()) - words_ended(words, typist->sound, ms * kRate / 1000));
    exact += away == 0 ? 1 : 0;
    close += away <= 1 ? 1 : 0;
    client.send(R"({"type":"conversation.item.delete","item_id":")" + typist->item + "\"}");
  }
  std::printf("%d cuts: %d kept the beginning of the transcript, %d within a word of the estimate (%d exactly), "
              "%d times a place beyond the end was refused\n", checked, prefixes, close, exact, refused_beyond);
  client.close(true);
}

}  // namespace calliope::bench
