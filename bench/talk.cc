#include "bench/talk.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <cstdio>

namespace calliope::bench {

using std::chrono::milliseconds;

namespace {

double value_of(const Metrics& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? 0 : found->second;
}

double own_cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double cores() { return static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)); }

void note_busiest(const Metrics& before, const Metrics& after, Run& run) {
  constexpr std::string_view kStage = "calliope_stage_seconds_total{stage=\"";
  for (auto at = after.lower_bound(std::string(kStage)); at != after.end() && at->first.starts_with(kStage); ++at) {
    const double share = (at->second - value_of(before, at->first)) / run.seconds;
    if (share <= run.busiest_share) continue;
    run.busiest_share = share;
    run.busiest = at->first.substr(kStage.size(), at->first.rfind('"') - kStage.size());
  }
}

std::vector<double> all(const std::vector<Exchange>& exchanges, double Exchange::* field) {
  std::vector<double> values;
  for (const Exchange& exchange : exchanges) values.push_back(exchange.*field);
  return values;
}

void print_waits(const char* what, const std::vector<double>& values) {
  std::printf("  %-52s p50 %5.0f  p95 %5.0f  max %5.0f ms\n", what, percentile(values, 0.5), percentile(values, 0.95),
              percentile(values, 1));
}

void print_interruptions(const Tally& tally, bool by_voice) {
  std::vector<double> silence, noticed;
  int in_flight = 0;
  for (const Interruption& one : tally.interruptions) {
    if (one.by_voice != by_voice) continue;
    silence.push_back(one.silence_ms);
    noticed.push_back(one.noticed_ms);
    in_flight += one.in_flight ? 1 : 0;
  }
  if (silence.empty()) return;
  std::printf(
      "  interrupted %s: %zu times, %d of them in the making; to the last sound p50 %.0f, p99 %.0f, max %.0f ms",
      by_voice ? "by voice" : "by response.cancel", silence.size(), in_flight, percentile(silence, 0.5),
      percentile(silence, 0.99), percentile(silence, 1));
  if (by_voice)
    std::printf("; noticed after p50 %.0f, p95 %.0f ms", percentile(noticed, 0.5), percentile(noticed, 0.95));
  std::printf("\n");
}

/// Why that many are too many.
void print_limit(const Run& run) {
  const double used = run.server_cores + run.driver_cores;
  std::printf(
      "  with %d: the server used %.2f and this driver %.2f of %.0f cores; the engine was in the %s stage %.0f %% of "
      "the time. ",
      run.people, run.server_cores, run.driver_cores, cores(), run.busiest.c_str(), 100 * run.busiest_share);
  if (!run.tally.errors.empty()) {
    std::printf("Requests were refused: the limits of the server, not the machine\n");
  } else if (used > 0.85 * cores()) {
    std::printf("The processor limits it\n");
  } else {
    std::printf("The processor is not full: single steps take too long\n");
  }
}

}  // namespace

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return std::nan("");
  std::ranges::sort(values);
  return values[static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()) - 1e-9)) - 1];
}

asio::awaitable<Run> talk(asio::io_context& io, Server server, Manners manners, int people, int seconds) {
  Run run{.people = people};
  const Metrics before = co_await read_metrics(server);
  const double own_before_s = own_cpu_s();
  const Time start = Clock::now();
  const auto tally = std::make_shared<Tally>();
  int going = people;
  for (int i = 0; i < people; ++i) {
    const uint32_t seed = 1000 * static_cast<uint32_t>(people) + static_cast<uint32_t>(i);
    const auto person = std::make_shared<Person>(io, server, manners, seed, *tally);
    asio::co_spawn(
        io, [person, until = start + std::chrono::seconds(seconds)] { return person->run(until); },
        [person, tally, &going](std::exception_ptr) { --going; });
  }
  while (going > 0) co_await sleep_for(milliseconds(20));
  run.seconds = ms_between(start, Clock::now()) / 1000;
  run.driver_cores = (own_cpu_s() - own_before_s) / run.seconds;
  const Metrics after = co_await read_metrics(server);
  const std::string cpu = "process_cpu_seconds_total";
  run.server_cores = (value_of(after, cpu) - value_of(before, cpu)) / run.seconds;
  run.rss_mb = value_of(after, "process_resident_memory_bytes") / 1e6;
  note_busiest(before, after, run);
  run.tally = std::move(*tally);
  co_return run;
}

std::vector<double> answer_waits(const Run& run) { return all(run.tally.exchanges, &Exchange::answer_ms); }

void print(const Run& run) {
  const Tally& tally = run.tally;
  std::printf("%d talking, %.0f s: %zu answers, %.0f s of sound; server %.2f cores, %.0f MB; driver %.2f cores\n",
              run.people, run.seconds, tally.exchanges.size(), tally.heard_s, run.server_cores, run.rss_mb,
              run.driver_cores);
  if (!tally.exchanges.empty()) {
    print_waits("end of speech noticed, to first sound", answer_waits(run));
    print_waits("end-pointing: last speech, to end of speech noticed", all(tally.exchanges, &Exchange::endpoint_ms));
    print_waits("both: last speech, to first sound", all(tally.exchanges, &Exchange::whole_ms));
  }
  std::printf("  playback gaps: %zu", tally.gaps_ms.size());
  if (!tally.gaps_ms.empty()) std::printf(", longest %.0f ms", percentile(tally.gaps_ms, 1));
  std::printf("\n");
  for (const bool by_voice : {false, true}) print_interruptions(tally, by_voice);
  if (tally.unheard + tally.silent + tally.closed > 0) {
    std::printf("  not answered: %d, answered without sound: %d, connections lost: %d\n", tally.unheard, tally.silent,
                tally.closed);
  }
  for (const auto& [code, count] : tally.errors) std::printf("  error %s: %d times\n", code.c_str(), count);
  if (tally.microphone_late_ms > 20)
    std::printf("  (this driver itself was up to %.0f ms late)\n", tally.microphone_late_ms);
  std::fflush(stdout);
}

bool carried(const Run& run) {
  const Tally& tally = run.tally;
  return tally.gaps_ms.empty() && tally.unheard == 0 && tally.closed == 0 && tally.errors.empty() &&
         !tally.exchanges.empty();
}

asio::awaitable<void> search(asio::io_context& io, Server server, Manners manners, int least, int most, int seconds) {
  int good = 0, bad = most + 1;
  Run last_bad;
  for (int people = std::min(least, most);;) {
    Run run = co_await talk(io, server, manners, people, seconds);
    const bool ok = carried(run);
    std::printf(
        "  %3d people: %s (%zu answers, %zu gaps, %d not answered, first sound p95 %.0f ms, server %.2f cores)\n",
        people, ok ? "carried" : "not carried", run.tally.exchanges.size(), run.tally.gaps_ms.size(), run.tally.unheard,
        percentile(answer_waits(run), 0.95), run.server_cores);
    std::fflush(stdout);
    (ok ? good : bad) = people;
    if (!ok) last_bad = std::move(run);
    if (good == most || bad - good <= std::max(1, good / 8)) break;
    people = bad > most ? std::min(2 * people, most) : (good + bad) / 2;
  }
  std::printf("as many as it carries without a gap: %d%s\n", good, good == most ? " (no more were tried)" : "");
  if (last_bad.people > 0) print_limit(last_bad);
  std::fflush(stdout);
}

}  // namespace calliope::bench
