#include "cli/serve_command.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/memory_limit.h"
#include "cli/option_checks.h"
#include "server/server.h"

namespace calliope::cli {

void add_serve_options(CLI::App& command, ServeOptions& options) {
  command
      .add_option("-m,--model", options.model,
                  "Checkpoint folder (default: the calliope-nano that ships with the program)")
      ->type_name("DIR");
  command.add_option("--host", options.host, "Address to listen on; 0.0.0.0 for every one")
      ->capture_default_str()
      ->type_name("ADDRESS");
  command.add_option("-p,--port", options.port, "Port to listen on; 0 for any free one")
      ->check(whole_number(0, 65535))
      ->capture_default_str()
      ->type_name("N");
  command
      .add_option("--api-key", options.api_keys, "Key that clients must send as Authorization: Bearer; may be repeated")
      ->check(not_empty())
      ->envname("CALLIOPE_API_KEY")
      ->type_name("KEY");
  command
      .add_option("--metrics-key", options.metrics_key,
                  "Key that /metrics asks for (default: one of the API keys, if there are any)")
      ->check(not_empty())
      ->envname("CALLIOPE_METRICS_KEY")
      ->type_name("KEY");
  command.add_option("--log-format", options.log_format, "How the log on stderr is written: text, or json for an object a line")
      ->check(one_of({"text", "json"}))
      ->capture_default_str()
      ->type_name("FORMAT");
  command
      .add_option("--allow-origin", options.allow_origin,
                  "Let pages of this origin use the API, for example https://app.example (default: none)")
      ->type_name("ORIGIN");
  command.add_option("-t,--threads", options.threads, "Threads to compute with (default: all cores)")
      ->check(whole_number(1, 1024))
      ->type_name("N");
  command.add_option("--max-body-mib", options.max_body_mib, "Largest request in MiB")
      ->check(whole_number(1, 1024))
      ->capture_default_str()
      ->type_name("MIB");
  command.add_option("--connections", options.connections, "Most connections at once")
      ->check(whole_number(1, 65000))
      ->capture_default_str()
      ->type_name("N");
  command
      .add_option("--kv-memory", options.kv_memory_mib,
                  "Memory for conversations (keys and values) in MiB (default: a quarter of the machine's, at most 16 of the "
                  "longest)")
      ->check(whole_number(1, 1 << 24))
      ->type_name("MIB");
  add_kv_type_option(command, options.kv_type);
  command
      .add_option("--realtime-memory", options.realtime_memory_mib,
                  "Memory that all conversations over /v1/realtime may hold in MiB: items, sounds, pictures, events on their way "
                  "(default: an eighth of the machine's, at least 256)")
      ->check(whole_number(1, 1 << 24))
      ->type_name("MIB");
  command
      .add_option("--max-wait-s", options.max_wait_s,
                  "Seconds that a request may wait to be begun, else it gets 429; 0 for ever. X-Max-Wait says otherwise for one")
      ->check(whole_number(0, 3600))
      ->capture_default_str()
      ->type_name("SECONDS");
  command.add_option("--drain-s", options.drain_s, "Seconds that requests get to end when the server stops")
      ->check(whole_number(0, 3600))
      ->capture_default_str()
      ->type_name("SECONDS");
}

namespace {

/// Many shells give a program 1024 files, which so many connections would use up.
void allow_files(int connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = static_cast<rlim_t>(connections) + 256;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int serve(const ServeOptions& options, const AnswererFactory& make) {
  const auto start = std::chrono::steady_clock::now();
  const auto complain = [](const Error& error) {
    std::fprintf(stderr, "calliope serve: %s\n", error.message.c_str());
    return 1;
  };
  if (options.allow_origin.find_first_of("\r\n ") != std::string::npos) {
    return complain({ErrorCode::invalid_argument, "--allow-origin takes one origin, such as https://app.example"});
  }
  allow_files(options.connections);
  auto answerer = make(options);
  if (!answerer) return complain(answerer.error());
  server::ServerOptions server_options{.host = options.host,
                                       .port = static_cast<uint16_t>(options.port),
                                       .api_keys = options.api_keys,
                                       .metrics_key = options.metrics_key,
                                       .allow_origin = options.allow_origin,
                                       .handle_signals = true,
                                       .log_format = options.log_format == "json" ? server::LogFormat::json
                                                                                  : server::LogFormat::text,
                                       .body_bytes = static_cast<size_t>(options.max_body_mib) << 20,
                                       .connections = options.connections,
                                       .drain = std::chrono::seconds(options.drain_s)};
  server_options.realtime_memory_bytes = options.realtime_memory_mib > 0
                                             ? static_cast<size_t>(options.realtime_memory_mib) << 20
                                             : std::max(size_t{256} << 20, memory_limit() / 8);
  server_options.all_bodies_bytes = std::max(server_options.all_bodies_bytes, 2 * server_options.body_bytes);
  const std::string name = answerer->engine->model_names().front();
  auto server = server::Server::open(server_options, answerer->engine, answerer->decoder);
  if (!server) return complain(server.error());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("Calliope serves %s at %s (ready in %.1f s; Ctrl+C stops)\n", name.c_str(), (*server)->url().c_str(),
              seconds);
  if (options.api_keys.empty() && options.host != "127.0.0.1" && options.host != "localhost" && options.host != "::1") {
    std::printf("Anyone who can reach %s may use it; --api-key NAME asks for a key.\n", options.host.c_str());
  }
  std::fflush(stdout);
  (*server)->run();
  return 0;
}

}  // namespace calliope::cli
