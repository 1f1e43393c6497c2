#include "model/template_builtins.h"

#include <algorithm>
#include <cmath>

#include "model/template_text.h"

namespace calliope::model::jinja {
namespace {

std::unexpected<Error> mistake(const std::string& what) { return fail(ErrorCode::invalid_argument, what); }

std::unexpected<Error> wrong_types(const std::string& op, const Value& left, const Value& right) {
  return mistake("'" + op + "' does not work on " + std::string(left.type_name()) + " and " +
                 std::string(right.type_name()));
}

List strings(const std::vector<std::string>& texts) { return List(texts.begin(), texts.end()); }

Result<bool> contains(const Value& container, const Value& item) {
  if (container.text()) {
    if (!item.text()) return mistake("'in' a string needs a string, not " + std::string(item.type_name()));
    return container.text()->find(*item.text()) != std::string::npos;
  }
  if (container.list()) {
    return std::any_of(container.list()->begin(), container.list()->end(),
                       [&](const Value& one) { return equal(one, item); });
  }
  if (container.dict()) return item.text() && container.get(*item.text()) != nullptr;
  if (container.undefined()) return false;
  return mistake("'in' needs a string, list or dict, not " + std::string(container.type_name()));
}

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

Result<Value> whole_arithmetic(const std::string& op, int64_t a, int64_t b) {
  int64_t value = 0;
  bool over = false;
  if (op == "+")
    over = __builtin_add_overflow(a, b, &value);
  else if (op == "-")
    over = __builtin_sub_overflow(a, b, &value);
  else if (op == "*")
    over = __builtin_mul_overflow(a, b, &value);
  else if (b == -1)
    over = op == "//" && __builtin_sub_overflow(int64_t{0}, a, &value);
  else
    value = op == "//" ? floor_div(a, b) : a - b * floor_div(a, b);
  if (over) return mistake("a number is too large");
  return Value(value);
}

Result<Value> power(const Value& left, const Value& right) {
  if (!left.whole() || !right.whole() || right.to_int() < 0) {
    const double value = std::pow(left.to_double(), right.to_double());
    if (!std::isfinite(value)) return mistake("a number is too large");
    return Value(value);
  }
  int64_t value = 1, base = left.to_int();
  for (int64_t left_over = right.to_int(); left_over > 0; --left_over) {
    if (base == 0 || base == 1) return Value(base);
    if (base == -1) return Value(left_over % 2 == 0 ? int64_t{1} : int64_t{-1});
    if (__builtin_mul_overflow(value, base, &value)) return mistake("a number is too large");
  }
  return Value(value);
}

Result<Value> arithmetic(const std::string& op, const Value& left, const Value& right) {
  const double a = left.to_double(), b = right.to_double();
  if (op == "**") return power(left, right);
  if ((op == "/" || op == "//" || op == "%") && b == 0) return mistake("division by zero");
  if (op == "/") return Value(a / b);
  if (left.whole() && right.whole()) return whole_arithmetic(op, left.to_int(), right.to_int());
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "//") return Value(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

// "ab" * 3, [1] * 3
Result<Value> repeated(const Value& value, int64_t times) {
  times = std::max<int64_t>(times, 0);
  const auto size = static_cast<int64_t>(value.text() ? value.text()->size() : value.list()->size());
  int64_t total = 0;
  if (__builtin_mul_overflow(size, times, &total) ||
      total > static_cast<int64_t>(value.text() ? kMaxText : kMaxText / 64)) {
    return mistake("a repeated string or list is too long");
  }
  if (value.text()) {
    std::string out;
    for (int64_t i = 0; i < times && size > 0; ++i) out += *value.text();
    return Value(std::move(out));
  }
  List out;
  for (int64_t i = 0; i < times && size > 0; ++i) out.insert(out.end(), value.list()->begin(), value.list()->end());
  return Value(std::move(out), value.sequence()->tuple);
}

Result<std::partial_ordering> order(const std::string& op, const Value& left, const Value& right) {
  if (left.text() && right.text()) return *left.text() <=> *right.text();
  if (left.whole() && right.whole()) return left.to_int() <=> right.to_int();
  if (left.number() && right.number()) return left.to_double() <=> right.to_double();
  if (!left.list() || !right.list() || left.sequence()->tuple != right.sequence()->tuple)
    return wrong_types(op, left, right);
  for (size_t i = 0; i < std::min(left.list()->size(), right.list()->size()); ++i) {
    if (!equal((*left.list())[i], (*right.list())[i])) return order(op, (*left.list())[i], (*right.list())[i]);
  }
  return left.list()->size() <=> right.list()->size();
}

// Made in place: GCC 12 warns about a moved one under sanitizers.
Result<Value> undefined() { return Result<Value>(std::in_place); }

}  // namespace

Value Arguments::get(size_t i, std::string_view name) const {
  if (i < values.size()) return values[i];
  for (const auto& [key, value] : keywords) {
    if (key == name) return value;
  }
  return {};
}

int64_t Arguments::weight() const {
  int64_t sum = 0;
  for (const Value& value : values) sum += value.weight();
  for (const auto& [key, value] : keywords) sum += value.weight();
  return sum;
}

std::optional<std::string_view> text_or_none(const Value& value) {
  if (value.text()) return std::string_view(*value.text());
  return std::nullopt;
}

Result<List> iterate(const Value& value) {
  if (value.list()) return *value.list();
  if (value.text()) return strings(characters(*value.text()));
  if (value.undefined()) return List();
  if (!value.dict())
    return mistake(std::string(value.type_name()) + " cannot be gone over; a list, dict or string can");
  List keys;
  for (const auto& [key, item] : *value.dict()) keys.emplace_back(key);
  return keys;
}

std::optional<int64_t> length_of(const Value& value) {
  if (value.text()) return length(*value.text());
  if (value.list()) return static_cast<int64_t>(value.list()->size());
  if (value.dict()) return static_cast<int64_t>(value.dict()->size());
  if (value.undefined()) return 0;
  return std::nullopt;
}

Result<Value> apply_binary(const std::string& op, const Value& left, const Value& right) {
  if (op == "~") return Value(left.str() + right.str());
  if (left.undefined() || right.undefined()) return mistake("'" + op + "' on something undefined");
  if (op == "+" && left.text() && right.text()) return Value(*left.text() + *right.text());
  if (op == "+" && left.list() && right.list() && left.sequence()->tuple == right.sequence()->tuple) {
    List joined = *left.list();
    joined.insert(joined.end(), right.list()->begin(), right.list()->end());
    return Value(std::move(joined), left.sequence()->tuple);
  }
  if (op == "*" && (left.text() || left.list()) && right.whole()) return repeated(left, right.to_int());
  if (op == "*" && (right.text() || right.list()) && left.whole()) return repeated(right, left.to_int());
  if (op == "%" && left.text()) {
    return percent_format(*left.text(), right.list() && right.sequence()->tuple ? *right.list() : List{right});
  }
  if (!left.number() || !right.number()) return wrong_types(op, left, right);
  return arithmetic(op, left, right);
}

Result<bool> compare(const std::string& op, const Value& left, const Value& right) {
  if (op == "==" || op == "!=") return equal(left, right) == (op == "==");
  if (op == "in" || op == "not in") {
    TRY(const bool found, contains(right, left));
    return found == (op == "in");
  }
  TRY(const auto order_found, order(op, left, right));
  if (op == "<") return order_found < 0;
  if (op == ">") return order_found > 0;
  return op == "<=" ? order_found <= 0 : order_found >= 0;
}

Result<Value> at_index(const Value& value, const Value& index) {
  if (value.undefined()) return mistake("an index into something undefined");
  if (value.dict() || value.space()) {
    const Value* found = index.text() ? value.get(*index.text()) : nullptr;
    if (!found) return undefined();
    return *found;
  }
  if (!index.whole() || (!value.list() && !value.text())) return undefined();
  const int64_t size = *length_of(value), given = index.to_int();
  const int64_t at = given < 0 ? given + size : given;
  if (at < 0 || at >= size) return undefined();
  if (value.list()) return (*value.list())[static_cast<size_t>(at)];
  return Value(characters(*value.text())[static_cast<size_t>(at)]);
}

Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (value.undefined()) return mistake("a slice of something undefined");
  if (!value.text() && !value.list()) return undefined();
  for (const Value* bound : {&begin, &end, &step}) {
    if (!bound->whole() && !bound->none() && !bound->undefined()) return mistake("a slice needs whole numbers");
  }
  const List list = value.list() ? *value.list() : strings(characters(*value.text()));
  const auto size = static_cast<int64_t>(list.size());
  const int64_t by = step.whole() ? std::clamp(step.to_int(), -size - 1, size + 1) : 1;
  if (by == 0) return mistake("a slice's step is zero");
  const auto bound = [&](const Value& given, int64_t otherwise) {
    if (!given.whole()) return otherwise;
    const int64_t at = given.to_int() < 0 ? given.to_int() + size : given.to_int();
    return by > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  List out;
  const int64_t first = bound(begin, by > 0 ? 0 : size - 1), last = bound(end, by > 0 ? size : -1);
  for (int64_t i = first; by > 0 ? i < last : i > last; i += by) out.push_back(list[static_cast<size_t>(i)]);
  if (value.list()) return Value(std::move(out), value.sequence()->tuple);
  std::string text;
  for (const Value& item : out) text += *item.text();
  return Value(std::move(text));
}

Result<bool> apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  const Value other = arguments.get(0, "other");
  if (name == "defined") return !value.undefined();
  if (name == "undefined") return value.undefined();
  if (name == "none") return value.none();
  if (name == "string") return value.text() != nullptr;
  if (name == "mapping") return value.dict() != nullptr;
  if (name == "iterable") return value.text() || value.list() || value.dict() || value.undefined();
  if (name == "sequence") return value.text() || value.list() || value.dict() || value.undefined();
  if (name == "callable") return value.as<Macro>() != nullptr;
  if (name == "number") return value.number();
  if (name == "integer") return value.as<int64_t>() != nullptr;
  if (name == "float") return value.as<double>() != nullptr;
  if (name == "boolean") return value.as<bool>() != nullptr;
  if (name == "true" || name == "false") return value.as<bool>() && *value.as<bool>() == (name == "true");
  if (name == "odd" || name == "even" || name == "divisibleby") {
    if (!value.whole() || (name == "divisibleby" && !arguments.get(0, "num").whole()))
      return mistake("'is " + name + "' needs whole numbers");
    const int64_t by = name == "divisibleby" ? arguments.get(0, "num").to_int() : 2;
    if (by == 0) return mistake("division by zero");
    return (by == -1 || value.to_int() % by == 0) == (name != "odd");
  }
  if (name == "lower" || name == "upper") return all_are(value.str(), name == "lower" ? "islower" : "isupper");
  if (name == "sameas") {
    if (value.list() || value.dict()) return value.list() == other.list() && value.dict() == other.dict();
    return value.data.index() == other.data.index() && equal(value, other);
  }
  for (const auto& [test, op] : {std::pair<const char*, const char*>{"eq", "=="},
                                 {"equalto", "=="},
                                 {"==", "=="},
                                 {"ne", "!="},
                                 {"!=", "!="},
                                 {"lt", "<"},
                                 {"lessthan", "<"},
                                 {"<", "<"},
                                 {"le", "<="},
                                 {"<=", "<="},
                                 {"gt", ">"},
                                 {"greaterthan", ">"},
                                 {">", ">"},
                                 {"ge", ">="},
                                 {">=", ">="}}) {
    if (name == test) return compare(op, value, other);
  }
  if (name == "in") return contains(arguments.get(0, "seq"), value);
  return fail(ErrorCode::unsupported, "the test '" + name + "' is not supported");
}

}  // namespace calliope::model::jinja
