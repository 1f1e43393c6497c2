#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/template_value.h"

namespace calliope::model::jinja {

/// Arguments of a call: by position and by name.
struct Arguments {
  std::vector<Value> values;
  Dict keywords;
  /// The i-th argument or the one of that name; undefined when absent.
  Value get(size_t i, std::string_view name) const;
};

/// `value | name(arguments)`.
Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments);

/// `value is name(arguments)`.
Result<bool> apply_test(const std::string& name, const Value& value, const Arguments& arguments);

/// `value.name(arguments)` for strings and dicts.
Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments);

/// `left op right`; "and" and "or" are the evaluator's.
Result<Value> apply_binary(const std::string& op, const Value& left, const Value& right);

/// value[index], value[begin:end:step]; undefined when there is nothing there.
Value at_index(const Value& value, const Value& index);
Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step);

/// What `for` goes over; an error when it cannot be iterated.
Result<List> iterate(const Value& value);

}  // namespace calliope::model::jinja
