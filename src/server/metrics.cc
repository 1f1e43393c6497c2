#include "server/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "assistant/event.h"
#include "server/prometheus_text.h"
#include "server/web_assets.h"

namespace calliope::server {

namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"};

constexpr std::string_view kErrorNames[] = {"invalid_argument", "not_found", "unsupported", "too_large",
                                            "unavailable",      "cancelled", "io",          "internal"};

double as_double(auto value) { return static_cast<double>(value); }

template <class Histogram>
void histogram(PrometheusText& out, const Histogram& values, PrometheusText::Labels labels = {}) {
  out.histogram(Histogram::kBounds, values.counts, values.sum, labels);
}

void write_engine(PrometheusText& out, const assistant::EngineStats& engine) {
  out.single("calliope_queue_requests", "gauge", "Requests that wait for a place.", as_double(engine.queued));
  out.single("calliope_sessions", "gauge", "Requests in a place: listening, waiting for memory or being answered.",
             as_double(engine.sessions));
  out.single("calliope_live_sessions", "gauge", "Of calliope_sessions, those that somebody listens to.",
             as_double(engine.live_sessions));

  const std::pair<std::string_view, const assistant::KvStats&> decoders[] = {{"thinker", engine.thinker},
                                                                           {"talker", engine.talker}};
  out.family("calliope_kv_pages", "gauge", "Pages of keys and values, by decoder and state.");
  for (const auto& [name, pages] : decoders) {
    out.sample(as_double(pages.used_pages), {{"decoder", name}, {"state", "used"}});
    out.sample(as_double(pages.claimed_pages), {{"decoder", name}, {"state", "claimed"}});
    out.sample(as_double(pages.total_pages), {{"decoder", name}, {"state", "total"}});
  }

  out.single("calliope_submitted_total", "counter", "Requests taken into the queue.", as_double(engine.submitted));
  out.single("calliope_refused_total", "counter", "Requests refused because the queue was full or they would have waited too long.", as_double(engine.refused));
  out.single("calliope_finished_total", "counter", "Requests answered to their end.", as_double(engine.finished));
  out.single("calliope_cancelled_total", "counter", "Requests that were cancelled: interrupted, or nobody waited any more.",
             as_double(engine.cancelled));
  out.family("calliope_failed_total", "counter", "Requests that failed in the engine, by kind.");
  for (size_t i = 0; i < engine.failed.size(); ++i) out.sample(as_double(engine.failed[i]), {{"kind", kErrorNames[i]}});

  out.family("calliope_queue_seconds", "histogram", "From the request until its prompt may be run.");
  histogram(out, engine.queue_seconds);
  out.family("calliope_first_text_seconds", "histogram",
             "From the request, or from the end of what was said, to the first piece of text.");
  histogram(out, engine.first_text_seconds);
  out.family("calliope_first_audio_seconds", "histogram",
             "From the request, or from the end of what was said, to the first piece of sound.");
  histogram(out, engine.first_audio_seconds);

  out.family("calliope_batch_size", "histogram",
             "Passes by their size: steps (media), rows (prefill, speech_prefill) or answers (decode, speech).");
  for (size_t i = 0; i < engine.stages.size(); ++i) {
    histogram(out, engine.stages[i].batch, {{"stage", assistant::kStageNames[i]}});
  }
  out.family("calliope_stage_seconds_total", "counter", "Time spent in the passes of a stage.");
  for (size_t i = 0; i < engine.stages.size(); ++i) {
    out.sample(engine.stages[i].seconds, {{"stage", assistant::kStageNames[i]}});
  }
  out.family("calliope_round_seconds", "histogram", "How long a round of all stages took.");
  histogram(out, engine.round_seconds);

  out.family("calliope_prompt_tokens_total", "counter", "Tokens of prompts, by whether they were run or known from before.");
  out.sample(as_double(engine.prompt_tokens_run), {{"from", "run"}});
  out.sample(as_double(engine.prompt_tokens_cached), {{"from", "cache"}});
  out.single("calliope_completion_tokens_total", "counter", "Tokens written.", as_double(engine.tokens_drawn));
  out.single("calliope_audio_frames_total", "counter", "Frames spoken.", as_double(engine.audio_frames));
  out.single("calliope_audio_seconds_total", "counter", "Sound spoken.",
             as_double(engine.audio_samples) / assistant::kSpeechSampleRate);

  out.family("calliope_cache_lookups_total", "counter", "What caches were asked for, and what was there.");
  const auto cache = [&](std::string_view name, uint64_t asked, uint64_t found) {
    out.sample(as_double(found), {{"cache", name}, {"result", "hit"}});
    out.sample(as_double(asked - std::min(asked, found)), {{"cache", name}, {"result", "miss"}});
  };
  cache("prefix_pages", engine.prefix_pages_asked, engine.prefix_pages_found);
  cache("media", engine.media_asked, engine.media_found);

  out.single("calliope_playback_gaps_total", "counter", "Times that somebody who listened had to wait for more sound.",
             as_double(engine.playback_gaps));
  out.single("calliope_playback_gap_seconds_total", "counter", "How long they waited.", engine.playback_gap_seconds);
}

/// The names that Prometheus' client libraries give these.
void write_process(PrometheusText& out) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return as_double(time.tv_sec) + as_double(time.tv_usec) * 1e-6; };
  out.single("process_cpu_seconds_total", "counter", "Processor time used.", seconds(usage.ru_utime) + seconds(usage.ru_stime));
  long pages = 0, resident_pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident_pages) != 2) resident_pages = 0;
    std::fclose(file);
  }
  out.single("process_resident_memory_bytes", "gauge", "Memory in use.", as_double(resident_pages) * as_double(sysconf(_SC_PAGESIZE)));
  std::error_code error;
  const auto files = std::filesystem::directory_iterator("/proc/self/fd", error);
  if (!error) {
    out.single("process_open_fds", "gauge", "Files and sockets open.", as_double(std::ranges::distance(begin(files), end(files))));
  }
}

}  // namespace

std::string_view route_label(std::string_view path) {
  static constexpr std::string_view kPaths[] = {"/v1/chat/completions", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/models",  "/v1/realtime", "/v1/realtime/client_secrets",
                                                "/healthz",             "/readyz",     "/metrics"};
  for (const std::string_view known : kPaths) {
    if (path == known) return known;
  }
  if (path.starts_with("/v1/models/")) return "/v1/models/{id}";
  return find_web_asset(path) != nullptr ? "page" : "other";
}

void Metrics::request(std::string_view route, std::string_view method, int status, double seconds) {
  const bool common = std::ranges::find(kMethods, method) != kMethods.end();
  const std::lock_guard lock(mutex_);
  ++requests_[{.route = std::string(route), .method = std::string(common ? method : "other"), .status = status}];
  request_seconds_[std::string(route)].add(seconds);
}

void Metrics::error(std::string_view code) {
  const std::lock_guard lock(mutex_);
  ++errors_[std::string(code)];
}

void Metrics::answer(std::string_view api, std::string_view outcome) {
  const std::lock_guard lock(mutex_);
  ++answers_[{std::string(api), std::string(outcome)}];
}

std::string Metrics::text(const assistant::EngineStats& engine, const realtime::MemoryBudget& memory, bool ready) const {
  PrometheusText out;
  out.family("calliope_info", "gauge", "The program's version.");
  out.sample(1, {{"version", CALLIOPE_VERSION}});
  out.single("calliope_ready", "gauge", "1 while new requests are taken.", ready ? 1 : 0);
  out.single("calliope_connections", "gauge", "Connections open.", as_double(connections.load()));
  out.single("calliope_connections_refused_total", "counter", "Connections refused because there were too many.",
             as_double(connections_refused.load()));
  out.single("calliope_realtime_sessions", "gauge", "Realtime sessions open.", as_double(realtime_sessions.load()));
  out.single("calliope_realtime_sessions_total", "counter", "Realtime sessions that were opened.",
             as_double(realtime_sessions_opened.load()));
  out.single("calliope_realtime_memory_bytes", "gauge", "What all Realtime sessions hold: items, sounds, pictures, requests, events on their way.",
             as_double(memory.used()));
  out.single("calliope_realtime_memory_limit_bytes", "gauge", "What they may hold.", as_double(memory.most()));
  {
    const std::lock_guard lock(mutex_);
    out.family("calliope_http_requests_total", "counter", "HTTP requests that are over, by route, method and status.");
    for (const auto& [request, count] : requests_) {
      out.sample(as_double(count),
                 {{"route", request.route}, {"method", request.method}, {"status", std::to_string(request.status)}});
    }
    out.family("calliope_http_request_seconds", "histogram", "How long HTTP requests took, streams to their end.");
    for (const auto& [route, seconds] : request_seconds_) histogram(out, seconds, {{"route", route}});
    out.family("calliope_errors_total", "counter", "Errors that clients were told, by code.");
    for (const auto& [code, count] : errors_) out.sample(as_double(count), {{"code", code}});
    out.family("calliope_answers_total", "counter", "Answers that are over, by API and how they ended.");
    for (const auto& [key, count] : answers_) out.sample(as_double(count), {{"api", key.first}, {"outcome", key.second}});
  }
  write_engine(out, engine);
  write_process(out);
  return out.take();
}

}  // namespace calliope::server
