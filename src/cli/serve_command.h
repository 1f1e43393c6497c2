#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/chat_request.h"
#include "assistant/engine.h"

namespace CLI {
class App;
}

namespace calliope::cli {

struct ServeOptions {
  std::string model;
  std::string host = "127.0.0.1";
  int port = 8080;
  std::vector<std::string> api_keys;
  std::string metrics_key;
  std::string allow_origin;
  std::string log_format = "text";
  int threads = 0;
  int max_body_mib = 64;
  int connections = 1024;
  int drain_s = 60;
  int max_wait_s = 120;  ///< 0: for ever
  int kv_memory_mib = 0;  ///< 0: computed
  std::string kv_type = "auto";
  int realtime_memory_mib = 0;  ///< 0: computed
};

/// Adds serve's options to its subcommand.
void add_serve_options(CLI::App& command, ServeOptions& options);

/// What answers the requests.
struct Answerer {
  std::shared_ptr<assistant::Engine> engine;
  std::shared_ptr<api::MediaDecoder> decoder;
};
using AnswererFactory = std::function<Result<Answerer>(const ServeOptions&)>;

/// Makes the answerer, then serves until SIGINT or SIGTERM. Returns the exit status.
int serve(const ServeOptions& options, const AnswererFactory& make);

/// The same with the model that the options name.
int run_serve(const ServeOptions& options);

}  // namespace calliope::cli
