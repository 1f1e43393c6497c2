#pragma once

#include <cstdint>

#include "base/result.h"
#include "cli/commands.h"

namespace calliope::model {
struct Model;
}

namespace calliope::cli {

/// Measures talker, code predictor and vocoder, a line per number of sessions that speak together: milliseconds from the
/// first text token to the first samples, milliseconds of each part for a frame of all sessions, and seconds of wall
/// clock in which each of them speaks for a second.
Result<void> bench_speech(const model::Model& model, const BenchOptions& options);

/// The most memory this process has taken.
int64_t peak_memory_bytes();

}  // namespace calliope::cli
