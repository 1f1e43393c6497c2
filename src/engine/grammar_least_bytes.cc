// How many bytes at least are missing from what a GrammarMatcher has read.
#include <algorithm>

#include "engine/grammar_matcher.h"
#include "engine/grammar_states.h"

namespace calliope::engine {

int64_t GrammarMatcher::least_bytes_left() const {
  if (complete()) return 0;
  int64_t least = Grammar::kNever;
  for (const Reading& reading : readings_) least = std::min(least, missing(reading));
  return least;
}

int64_t GrammarMatcher::missing(const Reading& reading) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < reading.open.size(); ++i) {
    const Frame& frame = reading.open[i];
    bytes += frame.node < 0 ? grammar_->at(grammar_->root).least_bytes : missing(frame, i + 1 == reading.open.size());
  }
  return std::min(bytes, Grammar::kNever);
}

int64_t GrammarMatcher::missing(const Frame& frame, bool top) const {
  const Grammar::Node& value = node(frame);
  switch (value.kind) {
    case Grammar::Kind::literals: {
      int64_t least = Grammar::kNever;
      for (int i = frame.first; i < frame.last; ++i) {
        const auto left = static_cast<int64_t>(value.texts[static_cast<size_t>(i)].size()) - frame.count;
        if (left > 0) least = std::min(least, left);
      }
      return least;
    }
    case Grammar::Kind::string: {
      const int64_t characters = std::max<int64_t>(0, value.least - frame.count);
      using namespace string_state;
      const int64_t begun = frame.state == plain ? frame.utf8_left : frame.state == escape ? 1 : frame.state == hex1 ? 4
                            : frame.state == hex2 || frame.state == hex2_low ? 3 : frame.state == hex3 ? 2 : 1;
      return characters + begun + 1;
    }
    case Grammar::Kind::number: return whole_number(frame.state) ? 0 : 1;
    case Grammar::Kind::choice: return 0;
    case Grammar::Kind::sequence: {
      int64_t bytes = 0;
      for (auto i = static_cast<size_t>(frame.count); i < value.children.size(); ++i) bytes += grammar_->at(value.children[i]).least_bytes;
      return bytes;
    }
    case Grammar::Kind::array: {
      const int64_t item = grammar_->at(value.rest).least_bytes;
      const int64_t left = std::max<int64_t>(0, value.least - frame.count);
      using namespace array_state;
      if (!top) return 1 + std::max<int64_t>(0, left - 1) * (item + 1);
      if (frame.state == start) return left == 0 ? 1 : left * (item + 1);
      if (frame.state == after) return 1 + left * (item + 1);
      return item + 1 + std::max<int64_t>(0, left - 1) * (item + 1);
    }
    case Grammar::Kind::object: return missing_object(frame, top);
  }
  return 0;
}

// Of the properties that are required and not there yet, each with a comma.
int64_t GrammarMatcher::required(const Frame& frame, int but) const {
  int64_t bytes = 0;
  const auto& properties = node(frame).properties;
  for (size_t i = 0; i < properties.size(); ++i) {
    if (!properties[i].required || frame.seen[i] || static_cast<int>(i) == but) continue;
    bytes += static_cast<int64_t>(properties[i].key.size()) + 4 + grammar_->at(properties[i].value).least_bytes;
  }
  return bytes;
}

int64_t GrammarMatcher::missing_object(const Frame& frame, bool top) const {
  using namespace object_state;
  const Grammar::Node& object = node(frame);
  const int64_t all = required(frame, -1);
  if (!top || frame.state == after) return all + 1;
  if (frame.state == start) return all > 0 ? all : 1;
  const int64_t value_bytes = frame.state == colon || frame.state == value ? grammar_->at(static_cast<int>(frame.count)).least_bytes : 0;
  if (frame.state == colon) return 1 + value_bytes + all + 1;
  if (frame.state == value) return value_bytes + all + 1;
  // A key is begun, or must be after a comma.
  const auto typed = frame.state == key ? static_cast<int64_t>(frame.key.size()) : -1;
  int64_t least = Grammar::kNever;
  bool listed = false;
  for (size_t i = 0; i < object.properties.size(); ++i) {
    const auto& property = object.properties[i];
    listed = listed || (typed >= 0 && property.key == frame.key);
    if (frame.seen[i] || (typed > 0 && !property.key.starts_with(frame.key))) continue;
    const int64_t rest = static_cast<int64_t>(property.key.size()) - typed + 2 + grammar_->at(property.value).least_bytes;
    least = std::min(least, rest + required(frame, static_cast<int>(i)) + 1);
  }
  if (object.rest >= 0 && frame.key.find('\\') == std::string::npos) {
    const int64_t rest = (typed < 0 ? 1 : 0) + frame.utf8_left + (listed ? 1 : 0) + 2 + grammar_->at(object.rest).least_bytes;
    least = std::min(least, rest + all + 1);
  }
  return least;
}

}  // namespace calliope::engine
