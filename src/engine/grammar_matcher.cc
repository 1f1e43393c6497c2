#include "engine/grammar_matcher.h"

#include <algorithm>
#include <utility>

#include "engine/grammar_states.h"

namespace calliope::engine {
namespace {

constexpr int kMostBlanks = 64;
constexpr int64_t kMostDepth = 32;
constexpr size_t kMostReadings = 64;  // more are not followed
constexpr int64_t kMostDigits = 15, kMostExponentDigits = 2;

bool blank(unsigned char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool hex(unsigned char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  // A frame of no node: the whole value is to come.
  readings_.push_back({{Frame{.node = -1}}});
}

bool GrammarMatcher::push(std::string_view bytes) {
  return std::ranges::all_of(bytes, [&](char byte) { return push(static_cast<unsigned char>(byte)); });
}

bool GrammarMatcher::push(unsigned char byte) {
  next_.clear();
  for (Reading& reading : readings_) step(std::move(reading), byte);
  std::swap(readings_, next_);
  return !readings_.empty();
}

bool GrammarMatcher::complete() const {
  return std::ranges::any_of(readings_, [&](const Reading& reading) {
    if (reading.open.empty()) return true;
    const Frame& only = reading.open.front();
    return reading.open.size() == 1 && only.node >= 0 && node(only).kind == Grammar::Kind::number && whole_number(only.state);
  });
}

bool GrammarMatcher::ended() const {
  return !readings_.empty() && std::ranges::all_of(readings_, [](const Reading& reading) { return reading.open.empty(); });
}

void GrammarMatcher::keep(Reading reading) {
  if (next_.size() >= kMostReadings || std::ranges::find(next_, reading) != next_.end()) return;
  next_.push_back(std::move(reading));
}

bool GrammarMatcher::fits(const Reading& reading, int node) const {
  return static_cast<int64_t>(reading.open.size()) + grammar_->at(node).least_depth <= kMostDepth;
}

void GrammarMatcher::step(Reading reading, unsigned char byte) {
  if (reading.open.empty()) return;
  Frame& top = reading.open.back();
  std::vector<int> tried;
  if (top.node < 0) {
    reading.open.clear();
    return begin(reading, grammar_->root, byte, tried);
  }
  const auto kind = node(top).kind;
  if (blank(byte)) {
    const bool between = kind == Grammar::Kind::array || (kind == Grammar::Kind::object && top.state != object_state::key);
    if (between) {
      if (++reading.blanks <= kMostBlanks) keep(std::move(reading));
      return;
    }
  } else {
    reading.blanks = 0;
  }
  switch (kind) {
    case Grammar::Kind::literals: return step_literals(std::move(reading), byte);
    case Grammar::Kind::string: return step_string(std::move(reading), byte);
    case Grammar::Kind::number: return step_number(std::move(reading), byte);
    case Grammar::Kind::array: return step_array(std::move(reading), byte);
    case Grammar::Kind::object: return step_object(std::move(reading), byte);
    case Grammar::Kind::choice: return;
    case Grammar::Kind::sequence: {
      const auto& children = node(top).children;
      const int child = children[static_cast<size_t>(top.count)];
      if (static_cast<size_t>(++top.count) == children.size()) reading.open.pop_back();
      return begin(reading, child, byte, tried);
    }
  }
}

// All values of a node that begin with this byte. A choice opens nothing, so what was tried once need not be again.
void GrammarMatcher::begin(const Reading& reading, int node, unsigned char byte, std::vector<int>& tried) {
  if (!fits(reading, node) || std::ranges::find(tried, node) != tried.end()) return;
  tried.push_back(node);
  const Grammar::Node& value = grammar_->at(node);
  const auto open = [&](Frame frame) {
    Reading opened = reading;
    opened.open.push_back(std::move(frame));
    return opened;
  };
  switch (value.kind) {
    case Grammar::Kind::choice:
      for (const int child : value.children) begin(reading, child, byte, tried);
      return;
    case Grammar::Kind::sequence: {
      Reading opened = value.children.size() > 1 ? open({.node = node, .count = 1}) : reading;
      std::vector<int> inner;
      return begin(opened, value.children[0], byte, inner);
    }
    case Grammar::Kind::literals: return step_literals(open({.node = node, .last = static_cast<int>(value.texts.size())}), byte);
    case Grammar::Kind::string:
      if (byte == '"') keep(open({.node = node}));
      return;
    case Grammar::Kind::array:
      if (byte == '[') keep(open({.node = node}));
      return;
    case Grammar::Kind::object:
      if (byte == '{') keep(open({.node = node}));
      return;
    case Grammar::Kind::number:
      if (byte == '-') keep(open({.node = node, .state = number_state::minus}));
      else if (byte == '0') keep(open({.node = node, .state = number_state::zero}));
      else if (digit(byte)) keep(open({.node = node, .state = number_state::whole, .count = 1}));
      return;
  }
}

// The innermost frame's value is whole.
void GrammarMatcher::end_value(Reading reading) {
  reading.open.pop_back();
  if (!reading.open.empty()) {
    Frame& parent = reading.open.back();
    if (node(parent).kind == Grammar::Kind::object) {
      parent.state = object_state::after;
    } else if (node(parent).kind == Grammar::Kind::array) {
      parent.state = array_state::after;
      ++parent.count;
    }
  }
  keep(std::move(reading));
}

void GrammarMatcher::step_literals(Reading reading, unsigned char byte) {
  Frame& top = reading.open.back();
  const auto& texts = node(top).texts;
  const auto at = static_cast<size_t>(top.count);
  const auto next = [&](int i) {
    const std::string& text = texts[static_cast<size_t>(i)];
    return text.size() > at ? static_cast<int>(static_cast<unsigned char>(text[at])) : -1;
  };
  while (top.first < top.last && next(top.first) < byte) ++top.first;
  int last = top.first;
  while (last < top.last && next(last) == byte) ++last;
  top.last = last;
  if (top.first == top.last) return;
  ++top.count;
  const bool whole = next(top.first) < 0 || texts[static_cast<size_t>(top.first)].size() == static_cast<size_t>(top.count);
  if (whole) end_value(reading);
  if (!whole || top.last - top.first > 1) keep(std::move(reading));
}

// Unicode 15, table 3-7. True when the byte goes on with, or begins, a character.
bool GrammarMatcher::utf8(Frame& frame, unsigned char byte) {
  if (frame.utf8_left > 0) {
    if (byte < frame.utf8_low || byte > frame.utf8_high) return false;
    --frame.utf8_left;
    frame.utf8_low = 0x80;
    frame.utf8_high = 0xBF;
    return true;
  }
  if (byte < 0x80) return byte >= 0x20;
  if (byte < 0xC2 || byte > 0xF4) return false;
  frame.utf8_left = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
  if (byte == 0xE0) frame.utf8_low = 0xA0;
  if (byte == 0xED) frame.utf8_high = 0x9F;
  if (byte == 0xF0) frame.utf8_low = 0x90;
  if (byte == 0xF4) frame.utf8_high = 0x8F;
  return true;
}

void GrammarMatcher::step_string(Reading reading, unsigned char byte) {
  using namespace string_state;
  Frame& top = reading.open.back();
  const Grammar::Node& value = node(top);
  switch (top.state) {
    case plain:
      if (top.utf8_left == 0 && byte == '"') {
        if (top.count >= value.least) end_value(std::move(reading));
        return;
      }
      if (top.utf8_left == 0 && top.count++ >= value.most) return;
      if (top.utf8_left == 0 && byte == '\\') top.state = escape;
      else if (!utf8(top, byte)) return;
      break;
    case escape:
      if (byte == 'u') top.state = hex1;
      else if (std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos) top.state = plain;
      else return;
      break;
    case hex1:
      if (!hex(byte)) return;
      top.state = byte == 'd' || byte == 'D' ? hex2_low : hex2;  // no surrogates: such characters are written as they are
      break;
    case hex2_low:
      if (byte < '0' || byte > '7') return;
      top.state = hex3;
      break;
    default:
      if (!hex(byte)) return;
      top.state = top.state == hex2 ? hex3 : top.state == hex3 ? hex4 : plain;
      break;
  }
  keep(std::move(reading));
}

void GrammarMatcher::step_number(Reading reading, unsigned char byte) {
  using namespace number_state;
  Frame& top = reading.open.back();
  const bool whole_only = node(top).whole;
  const auto go = [&](uint8_t state, int64_t count) {
    top.state = state;
    top.count = count;
    keep(std::move(reading));
  };
  const uint8_t state = top.state;
  if (digit(byte)) {
    const int64_t most = state == sign || state == exponent || state == e ? kMostExponentDigits : kMostDigits;
    if (state == minus) return go(byte == '0' ? zero : whole, 1);
    if (state == zero || top.count >= most) return;
    if (state == point) return go(fraction, 1);
    if (state == e || state == sign) return go(exponent, 1);
    return go(state, top.count + 1);
  }
  if (byte == '.' && (state == zero || state == whole) && !whole_only) return go(point, 0);
  if ((byte == 'e' || byte == 'E') && whole_number(state) && state != exponent && !whole_only) return go(e, 0);
  if ((byte == '+' || byte == '-') && state == e) return go(sign, 0);
  if (!whole_number(state) || reading.open.size() == 1) return;
  // It ends before this byte.
  std::vector<Reading> others = std::exchange(next_, {});
  end_value(std::move(reading));
  Reading ended = std::move(next_.front());
  next_ = std::move(others);
  step(std::move(ended), byte);
}

void GrammarMatcher::step_array(Reading reading, unsigned char byte) {
  using namespace array_state;
  Frame& top = reading.open.back();
  const Grammar::Node& list = node(top);
  const bool more = top.count < list.most && fits(reading, list.rest);
  if (byte == ']' && top.state != comma && top.count >= list.least) return end_value(std::move(reading));
  if (top.state == after) {
    if (byte != ',' || !more) return;
    top.state = comma;
    return keep(std::move(reading));
  }
  std::vector<int> tried;
  if (more) begin(reading, list.rest, byte, tried);
}

bool GrammarMatcher::may_take(const Reading& reading, size_t property) const {
  const Frame& top = reading.open.back();
  return !top.seen[property] && fits(reading, node(top).properties[property].value);
}

bool GrammarMatcher::any_key(const Reading& reading) const {
  const Grammar::Node& object = node(reading.open.back());
  if (object.rest >= 0 && fits(reading, object.rest)) return true;
  for (size_t i = 0; i < object.properties.size(); ++i) {
    if (may_take(reading, i)) return true;
  }
  return false;
}

void GrammarMatcher::step_object(Reading reading, unsigned char byte) {
  using namespace object_state;
  Frame& top = reading.open.back();
  const Grammar::Node& object = node(top);
  std::vector<int> tried;
  switch (top.state) {
    case key: return step_key(std::move(reading), byte);
    case colon:
      if (byte != ':') return;
      top.state = value;
      return keep(std::move(reading));
    case value: return begin(reading, static_cast<int>(top.count), byte, tried);
    default: break;
  }
  if (byte == '}' && top.state != comma) {
    for (size_t i = 0; i < object.properties.size(); ++i) {
      if (object.properties[i].required && !top.seen[i]) return;
    }
    return end_value(std::move(reading));
  }
  if (!any_key(reading)) return;
  if (top.state == after) {
    if (byte != ',') return;
    top.state = comma;
  } else {
    if (byte != '"') return;
    top.state = key;
    top.key.clear();
  }
  keep(std::move(reading));
}

// A key is one of those listed that was not there yet, spelled as JSON spells it, or any other without escapes.
void GrammarMatcher::step_key(Reading reading, unsigned char byte) {
  Frame& top = reading.open.back();
  const Grammar::Node& object = node(top);
  const auto is_key = [&](const Grammar::Property& property) { return property.key == top.key; };
  const auto listed = std::ranges::find_if(object.properties, is_key);
  if (byte == '"' && top.utf8_left == 0) {
    if (listed != object.properties.end()) {
      const auto index = static_cast<size_t>(listed - object.properties.begin());
      if (may_take(reading, index)) {
        top.seen.set(index);
        top.count = listed->value;
        top.state = object_state::colon;
        return keep(std::move(reading));
      }
    } else if (object.rest >= 0 && fits(reading, object.rest) && top.key.find('\\') == std::string::npos) {
      top.count = object.rest;
      top.state = object_state::colon;
      return keep(std::move(reading));
    }
  }
  top.key += static_cast<char>(byte);
  bool goes_on = false;
  for (size_t i = 0; i < object.properties.size() && !goes_on; ++i) {
    goes_on = may_take(reading, i) && object.properties[i].key.starts_with(top.key);
  }
  const bool other = object.rest >= 0 && fits(reading, object.rest) && byte != '"' && byte != '\\' &&
                     top.key.find('\\') == std::string::npos && utf8(top, byte);
  if (other || goes_on) keep(std::move(reading));
}

}  // namespace calliope::engine
