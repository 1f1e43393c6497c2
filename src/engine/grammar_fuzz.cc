// A schema, a zero byte, and bytes to choose by: whatever schema there is, every answer the matcher lets through is JSON,
// and the shortest way it promises is there.
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "engine/grammar_matcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calliope::engine;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), size);
  const auto grammar = Grammar::of_schema(input.substr(0, zero));
  if (!grammar) {
    CHECK(!grammar.error().message.empty());
    return 0;
  }
  GrammarMatcher matcher(*grammar);
  std::string text;
  size_t at = zero + 1;
  for (int steps = 0; steps < 300 && !matcher.ended(); ++steps) {
    // The next byte that is wanted; when the input has ended, the one that comes nearest to the end.
    const int64_t before = matcher.least_bytes_left();
    if (at >= size && matcher.complete()) break;
    int best = -1;
    int64_t least = INT64_MAX;
    for (int i = 0; i < 256 && best < 0; ++i) {
      const auto byte = static_cast<unsigned char>(at < size ? data[at] + i : i);
      GrammarMatcher copy = matcher;
      if (!copy.push(byte)) continue;
      if (at < size || copy.least_bytes_left() < before) best = byte;
      least = std::min(least, copy.least_bytes_left());
    }
    CHECK(best >= 0 || matcher.complete());
    if (best < 0) break;
    ++at;
    text += static_cast<char>(best);
    CHECK(matcher.push(static_cast<unsigned char>(best)));
  }
  if (matcher.complete()) {
    boost::json::error_code error;
    boost::json::parse_options options;
    options.max_depth = 200;
    boost::json::parse(text, error, {}, options);
    CHECK(!error);
  }
  return 0;
}
