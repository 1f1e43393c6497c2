#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/chat_request.h"
#include "assistant/engine.h"
#include "eval/scoring.h"
#include "eval/task.h"

namespace calliope::eval {

/// Whoever is measured.
class Answerer {
 public:
  virtual ~Answerer() = default;
  using Done = std::function<void(Result<Outcome>)>;
  /// Asks an item; `done` is called once, from another thread or at once. May block. Both are kept until then.
  virtual void ask(const Task& task, const Item& item, Done done) = 0;
};

/// An engine of ours, which outlives this; media are decoded by `decoder`.
std::unique_ptr<Answerer> engine_answerer(assistant::Engine& engine, api::MediaDecoder& decoder);

struct UrlOptions {
  std::string url;    ///< up to and with /v1
  std::string model;
  std::string key;    ///< empty: none is sent
  int at_once = 8;
  int most_tries = 6;  ///< of a request that is refused as too many (429), or fails in the server (5xx)
  int first_wait_ms = 1000;
};
/// A server with OpenAI's chat completions. It tells no likelihoods: choices are asked for as letters.
std::unique_ptr<Answerer> url_answerer(UrlOptions options);

}  // namespace calliope::eval
