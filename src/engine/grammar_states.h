#pragma once

#include <cstdint>

// What GrammarMatcher::Frame::state says, by the kind of its node.
namespace calliope::engine {

namespace string_state {
enum : uint8_t { plain, escape, hex1, hex2, hex2_low, hex3, hex4 };
}
namespace number_state {
enum : uint8_t { minus, zero, whole, point, fraction, e, sign, exponent };
}
namespace array_state {
enum : uint8_t { start, after, comma };
}
namespace object_state {
enum : uint8_t { start, key, colon, value, after, comma };
}

/// Whether a number may end here.
inline bool whole_number(uint8_t state) {
  using namespace number_state;
  return state == zero || state == whole || state == fraction || state == exponent;
}

}  // namespace calliope::engine
