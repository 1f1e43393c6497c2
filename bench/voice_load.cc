// Plays clips at real speed to /v1/realtime, for one or many people, and tells what they met:
//   calliope_voice_bench URL CLIP... [--parts one,quick,many,barge,vanish,cuts,most,idle] [options, see --help]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>

#include "bench/cuts.h"
#include "bench/presence.h"
#include "bench/talk.h"

namespace calliope::bench {
namespace {

const std::vector<std::string> kParts = {"one", "quick", "many", "barge", "vanish", "cuts", "most", "idle"};

struct Options {
  std::string url, key;
  std::vector<std::string> clips;
  std::vector<std::string> parts = kParts;
  size_t turns = 40, interruptions = 100;
  int people = 8, seconds = 60, most = 256, search_seconds = 15, cuts = 20, vanish = 20, idle = 2000, idle_seconds = 20;
  int pause_ms = 100;
  double interrupts = 0.2, lead_ms = 40;
};

asio::awaitable<void> run_all(asio::io_context& io, Options options, Server server, std::vector<Clip> clips) {
  const auto wanted = [&](std::string_view part) {
    return std::ranges::find(options.parts, part) != options.parts.end();
  };
  const Manners polite{.clips = &clips, .lead_ms = options.lead_ms, .pause_ms = options.pause_ms};
  if (wanted("one")) {
    Manners manners = polite;
    manners.most_exchanges = options.turns;
    print(co_await talk(io, server, manners, 1, 3600));
  }
  const std::string quick = R"({"type":"server_vad","silence_duration_ms":200})";
  if (wanted("quick")) {  // the answer is told when it begins to be computed
    Manners manners = polite;
    manners.most_exchanges = options.turns;
    manners.turn_detection = quick;
    std::printf("With 200 ms of end-pointing, so that nothing is computed in advance:\n");
    print(co_await talk(io, server, manners, 1, 3600));
  }
  if (wanted("many")) {
    Manners manners = polite;
    manners.interrupts = options.interrupts;
    print(co_await talk(io, server, manners, options.people, options.seconds));
  }
  if (wanted("barge")) {
    Manners manners = polite;
    manners.interrupts = 1;
    manners.turn_detection = quick;
    manners.interrupts_within_ms = 100;  // most answers are still in the making
    manners.most_interruptions = options.interruptions;
    print(co_await talk(io, server, manners, options.people, 3600));
  }
  if (wanted("vanish")) co_await vanish(io, server, clips, options.vanish);
  if (wanted("cuts")) co_await check_cuts(io, server, options.cuts);
  if (wanted("most"))
    co_await search(io, server, polite, std::max(1, options.people), options.most, options.search_seconds);
  if (wanted("idle")) co_await idle(io, server, options.idle, options.idle_seconds);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Talks to /v1/realtime as people do, and measures what they hear."};
  app.add_option("url", options.url, "http://host:port")->required();
  app.add_option("clips", options.clips, "Sound files, each something that is said")->required();
  app.add_option("--key", options.key, "API key");
  app.add_option("--parts", options.parts,
                 "What to measure: one person; one with short end-pointing; many people; barge-ins; those who vanish; "
                 "cuts (truncation); the most "
                 "people; idle sessions")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(kParts));
  app.add_option("--turns", options.turns, "one, quick: questions")->capture_default_str();
  app.add_option("--people", options.people, "many, barge: how many talk at once; most: where the search begins")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "many: how long they talk")->capture_default_str()->take_last();
  app.add_option("--interrupts", options.interrupts, "many: share of answers that are interrupted")
      ->capture_default_str();
  app.add_option("--interruptions", options.interruptions, "barge: how many of answers in the making")
      ->capture_default_str();
  app.add_option("--vanish", options.vanish, "vanish: how many times")->capture_default_str();
  app.add_option("--cuts", options.cuts, "cuts: random truncations to check")->capture_default_str()->take_last();
  app.add_option("--most", options.most, "most: search up to this many people")->capture_default_str();
  app.add_option("--search-seconds", options.search_seconds, "most: how long each number of people talks")
      ->capture_default_str()
      ->take_last();
  app.add_option("--idle", options.idle, "idle: sessions to open")->capture_default_str();
  app.add_option("--idle-seconds", options.idle_seconds, "idle: how long they are watched")->capture_default_str();
  app.add_option("--pause-ms", options.pause_ms,
                 "From the end of an answer to what is said next, at random up to three times that")
      ->capture_default_str();
  app.add_option("--lead-ms", options.lead_ms, "How long a loudspeaker waits after the first sound came")
      ->capture_default_str();
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
  asio::co_spawn(io, run_all(io, options, *server, std::move(clips)),
                 [&](std::exception_ptr thrown) { failure = thrown; });
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
