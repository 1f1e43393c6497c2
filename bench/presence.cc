#include "bench/presence.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "bench/talk.h"

namespace calliope::bench {

using std::chrono::milliseconds;

namespace {

constexpr const char* kPlaces = "calliope_sessions";

bool is(const json::object& event, std::string_view type) {
  const json::value* value = event.if_contains("type");
  return value != nullptr && value->is_string() && value->get_string() == type;
}

/// How long until no place is taken, in milliseconds; none within ten seconds: 10,000.
asio::awaitable<double> until_free(Server server, Time from) {
  while (ms_between(from, Clock::now()) < 10'000) {
    const double places = co_await read_metric(server, kPlaces);
    if (places == 0) break;
    co_await sleep_for(milliseconds(1));
  }
  co_return ms_between(from, Clock::now());
}

struct Watched {
  bool created = false, speaks = false, hears = false;
};

/// One who opens a session, speaks, and vanishes. Milliseconds until the place was free; none: there was nothing to
/// free.
asio::awaitable<std::optional<double>> vanish_once(asio::io_context& io, Server server, const Clip& clip,
                                                   bool in_answer) {
  const auto watched = std::make_shared<Watched>();
  const auto client = std::make_shared<LiveClient>(io, [watched](const json::object& event) {
    watched->created = watched->created || is(event, "session.created");
    watched->speaks = watched->speaks || is(event, "input_audio_buffer.speech_started");
    watched->hears = watched->hears || is(event, "response.output_audio.delta");
  });
  bool ended = false;
  asio::co_spawn(
      io, [client, server] { return client->run(server); },
      [client, &ended](std::exception_ptr, bool) { ended = true; });
  const auto wait = [&](const bool& flag) -> asio::awaitable<bool> {
    for (int i = 0; i < 10'000 && !flag && !ended; ++i) co_await sleep_for(milliseconds(1));
    co_return flag;
  };
  std::optional<double> freed;
  const bool created = co_await wait(watched->created);
  if (created) {
    // Short end-pointing: the answer is still in the making when its first sound is there.
    client->send(R"({"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","silence_duration_ms":200}}}}})");
    const auto microphone = std::make_shared<Microphone>(*client);
    bool silent = false;
    microphone->say(clip);
    asio::co_spawn(
        io, [microphone] { return microphone->run(); },
        [microphone, client, &silent](std::exception_ptr) { silent = true; });
    const bool& sign = in_answer ? watched->hears : watched->speaks;
    const bool there = co_await wait(sign);
    if (there && !in_answer) co_await sleep_for(milliseconds(200));  // in the middle of a word
    double places = 0;
    if (there) places = co_await read_metric(server, kPlaces);
    client->close(false);
    if (places > 0) freed = co_await until_free(server, Clock::now());
    while (!silent) co_await sleep_for(milliseconds(1));
  }
  client->close(false);
  while (!ended) co_await sleep_for(milliseconds(1));
  co_return freed;
}

}  // namespace

asio::awaitable<void> vanish(asio::io_context& io, Server server, const std::vector<Clip>& clips, int times) {
  std::vector<double> speaking, answered;
  for (int i = 0; i < times; ++i) {
    const bool in_answer = i % 2 == 1;
    const auto freed = co_await vanish_once(io, server, clips[static_cast<size_t>(i) % clips.size()], in_answer);
    if (freed) (in_answer ? answered : speaking).push_back(*freed);
    co_await until_free(server, Clock::now());
  }
  std::printf("vanished %d times: place free after", times);
  for (const auto& [what, values] : {std::pair("while speaking", &speaking), std::pair("while answered", &answered)}) {
    if (values->empty()) continue;
    std::printf(" p50 %.1f, max %.1f ms (%zu %s)", percentile(*values, 0.5), percentile(*values, 1), values->size(),
                what);
  }
  std::printf("\n");
  std::fflush(stdout);
}

asio::awaitable<void> idle(asio::io_context& io, Server server, int sessions, int seconds) {
  const std::string memory = "process_resident_memory_bytes", cpu = "process_cpu_seconds_total";
  const double empty_mb = co_await read_metric(server, memory) / 1e6;
  std::vector<std::shared_ptr<LiveClient>> clients;
  int created = 0, going = 0;
  for (int i = 0; i < sessions; ++i) {
    const auto client = std::make_shared<LiveClient>(
        io, [&created](const json::object& event) { created += is(event, "session.created") ? 1 : 0; });
    clients.push_back(client);
    ++going;
    asio::co_spawn(
        io, [client, server] { return client->run(server); }, [&going](std::exception_ptr, bool) { --going; });
    if (i % 32 == 31) co_await sleep_for(milliseconds(10));
  }
  for (int i = 0; i < 3000 && created < going; ++i) co_await sleep_for(milliseconds(10));
  co_await sleep_for(milliseconds(1000));
  Metrics before = co_await read_metrics(server);
  co_await sleep_for(milliseconds(1000 * seconds));
  Metrics after = co_await read_metrics(server);
  std::printf("%d idle sessions (%.0f open): server %.0f MB (%.0f MB more than without), %.2f %% of a core in %d s\n",
              sessions, after["calliope_realtime_sessions"], after[memory] / 1e6, after[memory] / 1e6 - empty_mb,
              100 * (after[cpu] - before[cpu]) / seconds, seconds);
  std::fflush(stdout);
  for (const auto& client : clients) client->close(false);
  while (going > 0) co_await sleep_for(milliseconds(20));
}

}  // namespace calliope::bench
