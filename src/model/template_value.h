#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace calliope::model::jinja {

struct Value;
using List = std::vector<Value>;
/// Keys in the order they were given, as Python's dict.
using Dict = std::vector<std::pair<std::string, Value>>;

struct Undefined {};
struct None {};

/// A value of a template: what JSON can hold, and "undefined". Lists and dicts are shared, as in Python.
struct Value {
  std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<List>, std::shared_ptr<Dict>> data;

  Value() = default;
  Value(None none) : data(none) {}
  Value(bool value) : data(value) {}
  Value(int value) : data(int64_t{value}) {}
  Value(int64_t value) : data(value) {}
  Value(double value) : data(value) {}
  Value(std::string value) : data(std::move(value)) {}
  Value(std::string_view value) : data(std::string(value)) {}
  Value(const char* value) : data(std::string(value)) {}
  Value(List value) : data(std::make_shared<List>(std::move(value))) {}
  Value(Dict value) : data(std::make_shared<Dict>(std::move(value))) {}

  template <class T>
  const T* as() const { return std::get_if<T>(&data); }
  const List* list() const { const auto* p = as<std::shared_ptr<List>>(); return p ? p->get() : nullptr; }
  Dict* dict() const { const auto* p = as<std::shared_ptr<Dict>>(); return p ? p->get() : nullptr; }
  const std::string* text() const { return as<std::string>(); }
  bool undefined() const { return as<Undefined>() != nullptr; }
  bool none() const { return as<None>() != nullptr; }
  bool number() const { return as<int64_t>() || as<double>() || as<bool>(); }
  double to_double() const;

  /// Python's truth.
  bool truth() const;
  /// Python's str().
  std::string str() const;
  /// A dict's entry, or null.
  const Value* get(std::string_view key) const;
};

bool equal(const Value& a, const Value& b);
/// As transformers' tojson filter: json.dumps(ensure_ascii=False).
std::string to_json(const Value& value, int indent = -1, int depth = 0);

}  // namespace calliope::model::jinja
