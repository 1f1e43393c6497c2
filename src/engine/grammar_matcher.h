#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar.h"

namespace calliope::engine {

/// Follows a grammar byte by byte. Where the bytes so far can be read in several ways (anyOf), all are followed. Whatever
/// was accepted can be completed. JSON strings are valid UTF-8; between JSON's tokens there are at most 64 blanks in a row;
/// numbers have at most 15 digits before and after the point and 2 in the exponent; values lie at most 32 levels deep.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const Grammar> grammar);

  /// Goes on by these bytes; false when the grammar does not allow them, after which only copies made before are of use.
  bool push(std::string_view bytes);
  bool push(unsigned char byte);

  /// Whether what was pushed is whole.
  bool complete() const;
  /// Whether it is whole and nothing may follow.
  bool ended() const;
  /// How many bytes at least are missing; 0 when complete.
  int64_t least_bytes_left() const;

 private:
  struct Frame {
    int node = 0;
    uint8_t state = 0;
    // Strings and keys: bytes of a character that are missing, and what the next may be.
    uint8_t utf8_left = 0, utf8_low = 0x80, utf8_high = 0xBF;
    int64_t count = 0;      // matched bytes, characters, items, children or digits; the node of an object's value
    int first = 0, last = 0;  // literals that begin with what was matched: texts [first, last)
    std::bitset<Grammar::kMostProperties> seen;
    std::string key;
    bool operator==(const Frame&) const = default;
  };
  /// One way to read the bytes: what is open, the innermost last. Empty: whole.
  struct Reading {
    std::vector<Frame> open;
    int blanks = 0;
    bool operator==(const Reading&) const = default;
  };

  const Grammar::Node& node(const Frame& frame) const { return grammar_->at(frame.node); }
  bool fits(const Reading& reading, int node) const;
  void step(Reading reading, unsigned char byte);
  void begin(const Reading& reading, int node, unsigned char byte, std::vector<int>& tried);
  void end_value(Reading reading);
  void keep(Reading reading);
  void step_literals(Reading reading, unsigned char byte);
  void step_string(Reading reading, unsigned char byte);
  void step_number(Reading reading, unsigned char byte);
  void step_array(Reading reading, unsigned char byte);
  void step_object(Reading reading, unsigned char byte);
  void step_key(Reading reading, unsigned char byte);
  bool may_take(const Reading& reading, size_t property) const;
  bool any_key(const Reading& reading) const;
  static bool utf8(Frame& frame, unsigned char byte);

  int64_t missing(const Reading& reading) const;
  int64_t missing(const Frame& frame, bool top) const;
  int64_t missing_object(const Frame& frame, bool top) const;
  int64_t required(const Frame& frame, int but) const;

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Reading> readings_, next_;
};

}  // namespace calliope::engine
