#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace calliope::engine {

/// Passes text on until one of the stop strings appears, also when it is split over several pieces.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);

  /// Adds a piece; returns what can be passed on now. Text that may be the beginning of a stop string is held back.
  std::string push(std::string_view piece);

  /// True once a stop string was met; what push returned ends just before it.
  bool stopped() const { return stopped_; }

  /// What was held back, when the answer ends on its own.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace calliope::engine
