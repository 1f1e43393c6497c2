#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace calliope::model::jinja {

struct Node;
struct Value;
using List = std::vector<Value>;
/// Keys in the order they were given, as Python's dict.
using Dict = std::vector<std::pair<std::string, Value>>;

struct Undefined {};
struct None {};
struct Sequence;
struct Mapping;
struct Namespace;
/// A macro: its node, and how many scopes it sees.
struct Macro {
  const Node* node = nullptr;
  size_t scopes = 0;
};

/// A value of a template: what JSON can hold, "undefined", namespaces and macros. Strings, lists and dicts are shared
/// and never change; a copy is cheap.
struct Value {
  using Text = std::shared_ptr<const std::string>;
  std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const Sequence>,
               std::shared_ptr<const Mapping>, std::shared_ptr<Namespace>, Macro>
      data;

  Value() = default;
  Value(None none) : data(none) {}
  Value(bool value) : data(value) {}
  Value(int value) : data(int64_t{value}) {}
  Value(int64_t value) : data(value) {}
  Value(double value) : data(value) {}
  Value(std::string value) : data(std::make_shared<const std::string>(std::move(value))) {}
  Value(std::string_view value) : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(List value, bool tuple = false);
  Value(Dict value);
  Value(std::shared_ptr<Namespace> value) : data(std::move(value)) {}
  Value(Macro value) : data(value) {}

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  const std::string* text() const {
    const auto* p = as<Text>();
    return p ? p->get() : nullptr;
  }
  const Sequence* sequence() const;
  const List* list() const;
  const Dict* dict() const;
  Namespace* space() const;
  bool undefined() const { return as<Undefined>() != nullptr; }
  bool none() const { return as<None>() != nullptr; }
  bool number() const { return as<int64_t>() || as<double>() || as<bool>(); }
  bool whole() const { return as<int64_t>() || as<bool>(); }
  double to_double() const;
  /// Of an int or bool; 0 otherwise.
  int64_t to_int() const;

  /// Levels of lists and dicts inside each other; 0 for anything else.
  int depth() const;
  /// About how much work it is to go through all of it: elements, and characters by the sixteen.
  int64_t weight() const;

  /// Python's truth.
  bool truth() const;
  /// Python's str(). Its length is bounded by the weight.
  std::string str() const;
  /// Python's repr().
  std::string repr() const;
  /// A dict's or namespace's entry, or null.
  const Value* get(std::string_view key) const;
  /// What a list or tuple, dict, ... is called in messages.
  std::string_view type_name() const;
};

struct Sequence {
  List items;
  bool tuple = false;
  int depth = 1;
  int64_t weight = 1;
};

struct Mapping {
  Dict items;
  int depth = 1;
  int64_t weight = 1;
};

/// What namespace() makes: the one thing that changes.
struct Namespace {
  Dict fields;
};

bool equal(const Value& a, const Value& b);

/// json.dumps as transformers' tojson filter has it.
struct JsonStyle {
  int indent = -1;  ///< -1: all on one line
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::string item_separator = {}, key_separator = {};  ///< empty: Python's own
};
std::string to_json(const Value& value, const JsonStyle& style = {}, int depth = 0);

}  // namespace calliope::model::jinja
