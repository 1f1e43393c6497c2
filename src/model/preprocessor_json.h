#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace calliope::model {

/// Fields of one object of preprocessor_config.json, with the first mistake kept; absent and null fields keep their
/// default.
class PreprocessorFields {
 public:
  /// `section` names the nested object of processor_config.json; a flat file has none.
  static Result<PreprocessorFields> parse(std::string_view json, std::string_view section);

  bool has(std::string_view name) const;
  void read(std::string_view name, int64_t& value, int64_t lowest, int64_t highest);
  void read(std::string_view name, double& value);
  void read(std::string_view name, bool& value);
  /// Each element of an array of numbers; a single number counts for all.
  void read(std::string_view name, std::span<float> values);
  /// The same object's nested object, empty when absent.
  PreprocessorFields nested(std::string_view name) const;
  Result<void> done() const;

 private:
  struct Object;
  void wrong(std::string_view name, std::string_view what);

  std::shared_ptr<const Object> object_;
  std::string mistake_;
  std::string field_;
};

}  // namespace calliope::model
