// Plays clips at real speed to /v1/realtime, for one or many people, and tells what they met:
//   calliope_voice_bench URL CLIP... [--people 1,8] [--seconds 20] [--interrupts 0.2] [--most 64] [--cuts 20] [--idle 0]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "bench/cuts.h"
#include "bench/person.h"

namespace calliope::bench {
namespace {

using std::chrono::milliseconds;

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return std::nan("");
  std::ranges::sort(values);
  return values[static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()) - 1e-9)) - 1];
}

/// What the server used meanwhile.
struct Use {
  double cpu_s = 0, rss_mb = 0;
};
asio::awaitable<Use> use_of(Server server) {
  co_return Use{.cpu_s = co_await read_metric(server, "process_cpu_seconds_total"),
                .rss_mb = co_await read_metric(server, "process_resident_memory_bytes") / 1e6};
}

struct Run {
  int people = 0;
  double seconds = 0;
  Tally tally = {};
  double cpu_cores = 0, rss_mb = 0;
};

asio::awaitable<Run> talk(asio::io_context& io, Server server, Manners manners, int people, int seconds) {
  Run run{.people = people};
  const Use before = co_await use_of(server);
  const Time start = Clock::now();
  const auto tally = std::make_shared<Tally>();
  int going = people;
  for (int i = 0; i < people; ++i) {
    const auto person = std::make_shared<Person>(io, server, manners, 1000 * static_cast<uint32_t>(people) + static_cast<uint32_t>(i), *tally);
    asio::co_spawn(
        io, [person, until = start + std::chrono::seconds(seconds)] { return person->run(until); },
        [person, tally, &going](std::exception_ptr) { --going; });
  }
  while (going > 0) co_await sleep_for(milliseconds(20));
  run.seconds = ms_between(start, Clock::now()) / 1000;
  const Use after = co_await use_of(server);
  run.cpu_cores = (after.cpu_s - before.cpu_s) / run.seconds;
  run.rss_mb = after.rss_mb;
  run.tally = std::move(*tally);
  co_return run;
}

std::vector<double> all(const std::vector<Exchange>& exchanges, double Exchange::*field) {
  std::vector<double> values;
  for (const Exchange& exchange : exchanges) values.push_back(exchange.*field);
  return values;
}

void print_waits(const char* what, const std::vector<double>& values) {
  std::printf("  %-52s p50 %5.0f  p95 %5.0f  max %5.0f ms\n", what, percentile(values, 0.5), percentile(values, 0.95),
              percentile(values, 1));
}

void print(const Run& run) {
  const Tally& tally = run.tally;
  std::printf("%d talking, %.0f s: %zu answers, %.0f s of sound, server %.2f cores, %.0f MB\n", run.people, run.seconds,
              tally.exchanges.size(), tally.heard_s, run.cpu_cores, run.rss_mb);
  if (!tally.exchanges.empty()) {
    print_waits("end of speech noticed, to first sound", all(tally.exchanges, &Exchange::answer_ms));
    print_waits("end-pointing: last speech, to end of speech noticed", all(tally.exchanges, &Exchange::endpoint_ms));
    print_waits("both: last speech, to first sound", all(tally.exchanges, &Exchange::whole_ms));
  }
  std::printf("  playback gaps: %zu", tally.gaps_ms.size());
  if (!tally.gaps_ms.empty()) std::printf(", longest %.0f ms", percentile(tally.gaps_ms, 1));
  std::printf("\n");
  for (const bool by_voice : {false, true}) {
    std::vector<double> silence, noticed;
    int in_flight = 0;
    for (const Interruption& one : tally.interruptions) {
      if (one.by_voice != by_voice) continue;
      silence.push_back(one.silence_ms);
      noticed.push_back(one.noticed_ms);
      in_flight += one.in_flight ? 1 : 0;
    }
    if (silence.empty()) continue;
    std::printf("  interrupted %s: %zu times, %d of them in the making; to the last sound p50 %.0f, p99 %.0f, max %.0f ms",
                by_voice ? "by voice" : "by response.cancel", silence.size(), in_flight, percentile(silence, 0.5),
                percentile(silence, 0.99), percentile(silence, 1));
    if (by_voice) std::printf("; noticed after p50 %.0f, p95 %.0f ms", percentile(noticed, 0.5), percentile(noticed, 0.95));
    std::printf("\n");
  }
  if (tally.unheard + tally.silent + tally.closed > 0) {
    std::printf("  not answered: %d, answered without sound: %d, connections lost: %d\n", tally.unheard, tally.silent, tally.closed);
  }
  for (const auto& [code, count] : tally.errors) std::printf("  error %s: %d times\n", code.c_str(), count);
  if (tally.microphone_late_ms > 20) std::printf("  (this driver itself was up to %.0f ms late)\n", tally.microphone_late_ms);
  std::fflush(stdout);
}

bool carried(const Run& run) {
  const Tally& tally = run.tally;
  return tally.gaps_ms.empty() && tally.unheard == 0 && tally.closed == 0 && tally.errors.empty() && !tally.exchanges.empty();
}

/// Doubles the number of people until somebody hears a gap, then halves the rest.
asio::awaitable<void> search(asio::io_context& io, Server server, Manners manners, int most, int seconds) {
  int good = 0, bad = most + 1;
  Run last_bad;
  for (int people = 2; good + 1 < bad && people <= most;) {
    Run run = co_await talk(io, server, manners, people, seconds);
    const bool ok = carried(run);
    std::printf("  %3d people: %s (%zu gaps, %d not answered, first sound p95 %.0f ms, server %.2f cores)\n", people,
                ok ? "carried" : "not carried", run.tally.gaps_ms.size(), run.tally.unheard,
                percentile(all(run.tally.exchanges, &Exchange::answer_ms), 0.95), run.cpu_cores);
    std::fflush(stdout);
    (ok ? good : bad) = people;
    if (!ok) last_bad = std::move(run);
    people = bad > most ? std::min(2 * people, most) : (good + bad) / 2;
    if (bad > most && good == most) break;
  }
  std::printf("as many as it carries without a gap: %d%s\n", good, good == most ? " (no more were tried)" : "");
  if (last_bad.people > 0) {
    const double cores = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
    std::printf("  with %d: the server used %.2f of %.0f cores%s\n", last_bad.people, last_bad.cpu_cores, cores,
                last_bad.cpu_cores > 0.8 * cores ? ", which is what limits it" : "");
  }
}

/// Opens many sessions that say nothing.
asio::awaitable<void> idle(asio::io_context& io, Server server, int sessions, int seconds) {
  const Use empty = co_await use_of(server);
  std::vector<std::shared_ptr<LiveClient>> clients;
  int created = 0, going = 0;
  for (int i = 0; i < sessions; ++i) {
    const auto client = std::make_shared<LiveClient>(io, [&created](const json::object& event) {
      const json::value* type = event.if_contains("type");
      if (type != nullptr && *type == "session.created") ++created;
    });
    clients.push_back(client);
    ++going;
    asio::co_spawn(
        io, [client, server] { return client->run(server); }, [&going](std::exception_ptr, bool) { --going; });
    if (i % 32 == 31) co_await sleep_for(milliseconds(10));
  }
  for (int i = 0; i < 3000 && created < sessions && created + sessions - going < sessions; ++i) co_await sleep_for(milliseconds(10));
  co_await sleep_for(milliseconds(1000));
  const Use before = co_await use_of(server);
  co_await sleep_for(milliseconds(1000 * seconds));
  const Use after = co_await use_of(server);
  std::printf("%d idle sessions (%d open): server %.0f MB (%.0f MB more than without), %.1f %% of a core\n", sessions, created,
              after.rss_mb, after.rss_mb - empty.rss_mb, 100 * (after.cpu_s - before.cpu_s) / seconds);
  for (const auto& client : clients) client->close(false);
  while (going > 0) co_await sleep_for(milliseconds(20));
}

struct Options {
  std::string url, key;
  std::vector<std::string> clips;
  std::string people = "1,8";
  int seconds = 20, search_seconds = 0;
  double interrupts = 0.2;
  int most = 0, cuts = 0, idle = 0;
  double lead_ms = 40;
};

asio::awaitable<void> run_all(asio::io_context& io, Options options, Server server, std::vector<Clip> clips) {
  const Manners manners{.clips = &clips, .lead_ms = options.lead_ms, .interrupts = options.interrupts};
  std::istringstream numbers(options.people);
  for (std::string number; std::getline(numbers, number, ',');) {
    const int people = std::max(1, std::atoi(number.c_str()));
    print(co_await talk(io, server, manners, people, options.seconds));
  }
  if (options.cuts > 0) co_await check_cuts(io, server, options.cuts);
  if (options.most > 0) {
    Manners polite = manners;
    polite.interrupts = 0;
    co_await search(io, server, polite, options.most, options.search_seconds > 0 ? options.search_seconds : options.seconds);
  }
  if (options.idle > 0) co_await idle(io, server, options.idle, 10);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Talks to /v1/realtime as people do, and measures what they hear."};
  app.add_option("url", options.url, "http://host:port")->required();
  app.add_option("clips", options.clips, "Sound files, each something that is said")->required();
  app.add_option("--key", options.key, "API key");
  app.add_option("--people", options.people, "How many talk at once, for example 1,8: one after the other")->take_last();
  app.add_option("--seconds", options.seconds, "How long each number of people talks")->take_last();
  app.add_option("--interrupts", options.interrupts, "Share of answers that are interrupted")->take_last();
  app.add_option("--lead-ms", options.lead_ms, "How long a loudspeaker waits after the first sound came")->take_last();
  app.add_option("--most", options.most, "Search how many are carried without a gap, up to this many; 0: no search");
  app.add_option("--search-seconds", options.search_seconds, "How long each number of people talks in the search (as --seconds)")->take_last();
  app.add_option("--cuts", options.cuts, "Random truncations to check")->take_last();
  app.add_option("--idle", options.idle, "Idle sessions to open")->take_last();
  CLI11_PARSE(app, argc, argv);
  auto server = parse_url(options.url);
  if (!server) return std::fprintf(stderr, "%s\n", server.error().message.c_str()), 2;
  server->key = options.key;
  std::vector<Clip> clips;
  for (const std::string& path : options.clips) {
    auto clip = read_clip(path);
    if (!clip) return std::fprintf(stderr, "%s\n", clip.error().message.c_str()), 2;
    clips.push_back(*std::move(clip));
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  asio::io_context io;
  std::exception_ptr failure;
  asio::co_spawn(io, run_all(io, options, *server, std::move(clips)), [&](std::exception_ptr thrown) { failure = thrown; });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace
}  // namespace calliope::bench

int main(int argc, char** argv) {
  try {
    return calliope::bench::run(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "calliope_voice_bench: %s\n", failure.what());
    return 1;
  }
}
