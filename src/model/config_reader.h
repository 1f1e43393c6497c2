#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace boost::json {
class object;
class value;
}  // namespace boost::json

namespace calliope::model {

/// Reads fields of one JSON object; the first mistake is kept in the shared Error. For .cc files only.
class ConfigReader {
 public:
  ConfigReader(const boost::json::object* object, std::string path, std::string& mistake, std::string& field)
      : object_(object), path_(std::move(path)), mistake_(mistake), field_(field) {}

  /// True when there is such an object and it is not null.
  bool has(std::string_view name) const;
  /// The nested object; absent fields of an absent object keep their defaults.
  ConfigReader nested(std::string_view name) const;

  void integer(std::string_view name, int64_t& value, int64_t lowest, int64_t highest);
  void id(std::string_view name, int32_t& value);
  void number(std::string_view name, double& value, double lowest, double highest);
  void number(std::string_view name, float& value, double lowest, double highest);
  void boolean(std::string_view name, bool& value);
  void text(std::string_view name, std::string& value);
  void integers(std::string_view name, std::vector<int64_t>& values, int64_t lowest, int64_t highest, size_t most);

  void wrong(std::string_view name, std::string_view what);
  void require(bool holds, std::string_view name, std::string_view what) {
    if (!holds) wrong(name, what);
  }
  bool ok() const { return mistake_.empty(); }
  const boost::json::object* object() const { return object_; }

 private:
  const boost::json::value* find(std::string_view name) const;

  const boost::json::object* object_;
  std::string path_;
  std::string& mistake_;
  std::string& field_;
};

}  // namespace calliope::model
