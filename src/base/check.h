#pragma once

namespace calliope {

/// Prints the broken invariant and aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace calliope

/// A broken invariant of our own code; never for what an outside byte can cause.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::calliope::check_failed(#condition, __FILE__, __LINE__))
