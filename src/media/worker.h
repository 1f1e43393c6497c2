#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/decode.h"

namespace calliope::media {

/// Decodes bytes from outside in worker processes that may read nothing but their pipe: a hostile file can at worst end
/// a worker, which is then replaced. Thread-safe; a call waits for a free worker.
class DecodePool {
 public:
  struct Options {
    int workers = 2;
    int deadline_ms = 10'000;  ///< a decode that takes longer is ended with invalid_argument
    DecodeLimits limits;
    std::vector<std::string> command;  ///< program and arguments of a worker; empty: this program with --media-worker
  };
  explicit DecodePool(Options options);
  DecodePool() : DecodePool(Options{}) {}
  ~DecodePool();

  /// As decode_picture.
  Result<Picture> picture(std::span<const uint8_t> bytes);
  /// As decode_sound.
  Result<std::vector<float>> sound(std::span<const uint8_t> bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What a worker process runs: answers decode requests on standard input until it is closed. Returns the exit status.
int media_worker_main();

}  // namespace calliope::media
