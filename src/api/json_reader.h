#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::api {

/// A place in a JSON document that knows its own path, so that every complaint names the field at fault. Only for this
/// room's sources: it shows Boost.JSON.
class JsonReader {
 public:
  /// `value` may be null, for a field that is not there. `path` is as a caller would write it: messages[0].role.
  explicit JsonReader(const boost::json::value* value, std::string path = {}) : value_(value), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  /// Absent and null are the same to OpenAI.
  bool missing() const { return value_ == nullptr || value_->is_null(); }
  bool absent() const { return value_ == nullptr; }
  bool is_null() const { return value_ != nullptr && value_->is_null(); }
  bool is_string() const { return value_ != nullptr && value_->is_string(); }
  bool is_array() const { return value_ != nullptr && value_->is_array(); }
  bool is_object() const { return value_ != nullptr && value_->is_object(); }

  bool empty_object() const { return is_object() && value_->get_object().empty(); }

  /// A member of an object; missing when there is none, or when this is no object.
  JsonReader member(std::string_view key) const;
  /// An element of an array; `index` must be below size().
  JsonReader element(size_t index) const;
  /// How many elements an array has; 0 for everything else.
  size_t size() const;

  /// The names of an object's members, in their order.
  std::vector<std::string> keys() const;
  /// The value as JSON text; empty when it is absent.
  std::string serialized() const;

  Result<std::string_view> string() const;
  Result<bool> boolean() const;
  /// A number in [low, high].
  Result<double> number(double low, double high) const;
  /// A whole number in [low, high]; 3.0 counts as one.
  Result<int64_t> integer(int64_t low, int64_t high) const;
  Result<void> object() const;
  /// An array with at least one element.
  Result<void> filled_array() const;

  /// "Missing required parameter: 'messages'."
  Error missing_error() const;
  /// "Invalid type for 'n': expected an integer, but got a string instead."
  Error type_error(std::string_view expected) const;
  /// "Invalid value for 'n': <what>"
  Error value_error(std::string_view what) const;

 private:
  const boost::json::value* value_;
  std::string path_;
};

/// Parses a whole document: UTF-8, at most 32 levels deep.
Result<boost::json::value> parse_json(std::string_view bytes);

}  // namespace calliope::api
