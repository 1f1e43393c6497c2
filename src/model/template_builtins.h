#pragma once

#include <optional>
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
  int64_t weight() const;
};

/// No string that a template makes may be longer.
constexpr size_t kMaxText = size_t{16} << 20;

// All errors are without the place, which the evaluator knows.

/// `value | name(arguments)`.
Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments);

/// `value is name(arguments)`.
Result<bool> apply_test(const std::string& name, const Value& value, const Arguments& arguments);

/// `value.name(arguments)` for strings, lists and dicts.
Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments);
/// Whether a dict has a method of that name, which hides an entry of that name.
bool is_dict_method(std::string_view name);

/// `left op right` for + - * / // % ** ~.
Result<Value> apply_binary(const std::string& op, const Value& left, const Value& right);
/// `left op right` for == != < > <= >= in, not in.
Result<bool> compare(const std::string& op, const Value& left, const Value& right);
/// Python's "format % values" for %s, %d, %i, %r, %f, %x and their widths.
Result<Value> percent_format(const std::string& format, const List& values);

/// value[index], value[begin:end:step]; undefined when there is nothing there.
Result<Value> at_index(const Value& value, const Value& index);
Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step);

/// What `for` goes over; an error when it cannot be iterated.
Result<List> iterate(const Value& value);

/// range(end), range(begin, end), range(begin, end, step) as a list; strftime_now(format).
Result<Value> range(const Arguments& arguments);
Result<Value> strftime_now(const Arguments& arguments);
/// What namespace(other, a=1) and dict(other, a=1) hold.
Result<Dict> named_fields(const Arguments& arguments);
/// "loop" at item i.
Dict loop_fields(const List& items, size_t i);

/// Number of characters or elements; none for what has no length.
std::optional<int64_t> length_of(const Value& value);

/// The string a filter or method takes: `value` as text, or nothing for none and undefined.
std::optional<std::string_view> text_or_none(const Value& value);

}  // namespace calliope::model::jinja
