#include "model/template_builtins.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace calliope::model::jinja {
namespace {

std::unexpected<Error> mistake(const std::string& what) {
  return fail(ErrorCode::invalid_argument, "chat template: " + what, "chat_template");
}

constexpr std::string_view kSpace = " \t\n\r\f\v";

std::string strip(std::string_view text, std::string_view characters, bool left, bool right) {
  if (left) text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
  if (right) text = text.substr(0, text.find_last_not_of(characters) + 1);
  return std::string(text);
}

std::string cased(std::string text, bool upper) {
  for (char& c : text) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  if (from.empty()) return text;
  std::string out;
  size_t at = 0;
  for (size_t found; (found = text.find(from, at)) != std::string::npos; at = found + from.size()) {
    out.append(text, at, found - at);
    out += to;
  }
  return out + text.substr(at);
}

List characters(const std::string& text) {
  List out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    utf8_next(text, at);
    out.emplace_back(text.substr(begin, at - begin));
  }
  return out;
}

int64_t length_of(const Value& value) {
  if (value.text()) return static_cast<int64_t>(characters(*value.text()).size());
  if (value.list()) return static_cast<int64_t>(value.list()->size());
  return value.dict() ? static_cast<int64_t>(value.dict()->size()) : -1;
}

List split(const std::string& text, const Value& separator, int64_t most) {
  List out;
  if (!separator.text() || separator.text()->empty()) {
    size_t at = text.find_first_not_of(kSpace);
    while (at != std::string::npos) {
      const size_t end = most == 0 ? std::string::npos : text.find_first_of(kSpace, at);
      out.emplace_back(text.substr(at, end == std::string::npos ? end : end - at));
      at = end == std::string::npos ? end : text.find_first_not_of(kSpace, end);
      --most;
    }
    return out;
  }
  size_t at = 0;
  for (size_t found; most != 0 && (found = text.find(*separator.text(), at)) != std::string::npos; --most) {
    out.emplace_back(text.substr(at, found - at));
    at = found + separator.text()->size();
  }
  out.emplace_back(text.substr(at));
  return out;
}

bool affix(const std::string& text, const Value& what, bool front) {
  const auto has = [&](const Value& one) {
    return one.text() && (front ? text.starts_with(*one.text()) : text.ends_with(*one.text()));
  };
  return what.list() ? std::any_of(what.list()->begin(), what.list()->end(), has) : has(what);
}

Result<bool> contains(const Value& container, const Value& item) {
  if (container.text() && item.text()) return container.text()->find(*item.text()) != std::string::npos;
  if (container.list()) {
    return std::any_of(container.list()->begin(), container.list()->end(), [&](const Value& one) { return equal(one, item); });
  }
  if (container.dict() && item.text()) return container.get(*item.text()) != nullptr;
  if (container.undefined() || container.dict()) return false;
  return mistake("'in' needs a string, list or dict");
}

Result<Value> arithmetic(const std::string& op, const Value& left, const Value& right) {
  const bool whole = !left.as<double>() && !right.as<double>();
  const double a = left.to_double(), b = right.to_double();
  if ((op == "/" || op == "//" || op == "%") && b == 0) return mistake("division by zero");
  double value = 0;
  if (op == "+") value = a + b;
  else if (op == "-") value = a - b;
  else if (op == "*") value = a * b;
  else if (op == "/") return Value(a / b);
  else if (op == "//") value = std::floor(a / b);
  else value = a - b * std::floor(a / b);
  if (!whole) return Value(value);
  if (std::abs(value) > 9e15) return mistake("a number is too large");
  return Value(static_cast<int64_t>(value));
}

}  // namespace

Value Arguments::get(size_t i, std::string_view name) const {
  if (i < values.size()) return values[i];
  for (const auto& [key, value] : keywords) {
    if (key == name) return value;
  }
  return {};
}

Result<List> iterate(const Value& value) {
  if (value.list()) return *value.list();
  if (value.text()) return characters(*value.text());
  if (value.undefined()) return List();
  if (!value.dict()) return mistake("'for' needs a list, dict or string");
  List keys;
  for (const auto& [key, item] : *value.dict()) keys.emplace_back(key);
  return keys;
}

Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  if (name == "default" || name == "d") {
    const bool falsy = arguments.get(1, "boolean").truth() && !value.truth();
    return value.undefined() || falsy ? arguments.get(0, "default_value") : value;
  }
  if (name == "tojson") {
    const Value indent = arguments.get(0, "indent");
    return Value(to_json(value, indent.as<int64_t>() ? static_cast<int>(std::clamp<int64_t>(*indent.as<int64_t>(), 0, 16)) : -1));
  }
  if (name == "string") return Value(value.str());
  if (name == "length" || name == "count") {
    const int64_t length = length_of(value);
    if (length < 0 && !value.undefined()) return mistake("'length' needs a string, list or dict");
    return Value(std::max<int64_t>(0, length));
  }
  if (name == "trim") {
    const Value set = arguments.get(0, "chars");
    return Value(strip(value.str(), set.text() ? std::string_view(*set.text()) : kSpace, true, true));
  }
  if (name == "upper" || name == "lower") return Value(cased(value.str(), name == "upper"));
  if (name == "capitalize" || name == "title") {
    std::string text = cased(value.str(), false);
    for (size_t i = 0; i < text.size() && (i == 0 || name == "title"); ++i) {
      const bool start = i == 0 || kSpace.find(text[i - 1]) != std::string_view::npos;
      if (start && text[i] >= 'a' && text[i] <= 'z') text[i] = static_cast<char>(text[i] - 32);
    }
    return Value(text);
  }
  if (name == "replace") return Value(replaced(value.str(), arguments.get(0, "old").str(), arguments.get(1, "new").str()));
  if (name == "safe" || name == "e" || name == "escape") return value;
  if (name == "int") {
    if (!value.text()) return Value(static_cast<int64_t>(std::clamp(value.to_double(), -9e15, 9e15)));
    return Value(static_cast<int64_t>(std::strtol(value.text()->c_str(), nullptr, 10)));
  }
  if (name == "float") return Value(value.text() ? std::strtod(value.text()->c_str(), nullptr) : value.to_double());
  if (name == "abs") return value.as<int64_t>() ? Value(std::abs(*value.as<int64_t>())) : Value(std::abs(value.to_double()));
  if (name == "items") return call_method(value, "items", {});
  TRY(List list, iterate(value));
  if (name == "list") return Value(std::move(list));
  if (name == "first") return list.empty() ? Value() : list.front();
  if (name == "last") return list.empty() ? Value() : list.back();
  if (name == "reverse") {
    std::reverse(list.begin(), list.end());
    return Value(std::move(list));
  }
  if (name == "join") {
    const Value separator = arguments.get(0, "d"), attribute = arguments.get(1, "attribute");
    std::string out;
    for (size_t i = 0; i < list.size(); ++i) {
      const Value* item = attribute.text() ? list[i].get(*attribute.text()) : &list[i];
      out += (i > 0 ? separator.str() : "") + (item ? item->str() : "");
    }
    return Value(out);
  }
  if (name == "unique") {
    List out;
    for (const Value& item : list) {
      if (std::none_of(out.begin(), out.end(), [&](const Value& seen) { return equal(seen, item); })) out.push_back(item);
    }
    return Value(std::move(out));
  }
  if (name == "map") {
    const Value attribute = arguments.get(99, "attribute"), filter = arguments.get(0, "");
    for (Value& item : list) {
      if (attribute.text()) {
        const Value* field = item.get(*attribute.text());
        item = field ? *field : Value();
      } else {
        TRY(item, apply_filter(filter.str(), item, {}));
      }
    }
    return Value(std::move(list));
  }
  if (name == "selectattr" || name == "rejectattr" || name == "select" || name == "reject") {
    const bool by_attribute = name.ends_with("attr"), keep = name.starts_with("select");
    const size_t shift = by_attribute ? 1 : 0;
    Arguments rest;
    for (size_t i = shift + 1; i < arguments.values.size(); ++i) rest.values.push_back(arguments.values[i]);
    List out;
    for (const Value& item : list) {
      const Value* field = by_attribute ? item.get(arguments.get(0, "").str()) : &item;
      const Value tested = field ? *field : Value();
      bool passes = tested.truth();
      if (arguments.values.size() > shift) {
        TRY(passes, apply_test(arguments.values[shift].str(), tested, rest));
      }
      if (passes == keep) out.push_back(item);
    }
    return Value(std::move(out));
  }
  return mistake("unknown filter '" + name + "'");
}

Result<bool> apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  if (name == "defined") return !value.undefined();
  if (name == "undefined") return value.undefined();
  if (name == "none") return value.none();
  if (name == "string") return value.text() != nullptr;
  if (name == "mapping") return value.dict() != nullptr;
  if (name == "iterable") return value.text() || value.list() || value.dict();
  if (name == "sequence") return value.text() || value.list() || value.dict();
  if (name == "number") return value.number();
  if (name == "integer") return value.as<int64_t>() != nullptr;
  if (name == "float") return value.as<double>() != nullptr;
  if (name == "boolean") return value.as<bool>() != nullptr;
  if (name == "true") return value.as<bool>() && *value.as<bool>();
  if (name == "false") return value.as<bool>() && !*value.as<bool>();
  if (name == "odd" || name == "even") return (static_cast<int64_t>(value.to_double()) % 2 != 0) == (name == "odd");
  if (name == "equalto" || name == "eq" || name == "sameas") return equal(value, arguments.get(0, "other"));
  if (name == "ne") return !equal(value, arguments.get(0, "other"));
  if (name == "in") return contains(arguments.get(0, "seq"), value);
  return mistake("unknown test '" + name + "'");
}

Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments) {
  const Value first = arguments.get(0, ""), second = arguments.get(1, "");
  if (value.text()) {
    const std::string& text = *value.text();
    const std::string_view set = first.text() ? std::string_view(*first.text()) : kSpace;
    if (name == "strip") return Value(strip(text, set, true, true));
    if (name == "lstrip") return Value(strip(text, set, true, false));
    if (name == "rstrip") return Value(strip(text, set, false, true));
    if (name == "startswith") return Value(affix(text, first, true));
    if (name == "endswith") return Value(affix(text, first, false));
    if (name == "upper" || name == "lower") return Value(cased(text, name == "upper"));
    if (name == "capitalize" || name == "title") return apply_filter(name, value, {});
    if (name == "replace") return Value(replaced(text, first.str(), second.str()));
    if (name == "split") return Value(split(text, first, second.as<int64_t>() ? *second.as<int64_t>() : -1));
    if (name == "find") {
      const size_t found = text.find(first.str());
      return Value(found == std::string::npos ? int64_t{-1} : static_cast<int64_t>(characters(text.substr(0, found)).size()));
    }
    if (name == "join") return apply_filter("join", first, {{value}, {}});
    if (name == "format") return mistake("'format' is not supported");
  }
  if (value.dict()) {
    if (name == "get") {
      const Value* found = value.get(first.str());
      return found ? *found : (arguments.values.size() > 1 ? second : Value(None()));
    }
    if (name == "keys") return Value(*iterate(value));
    List out;
    for (const auto& [key, item] : *value.dict()) {
      if (name == "items") out.emplace_back(List{Value(key), item});
      else if (name == "values") out.push_back(item);
    }
    if (name == "items" || name == "values") return Value(std::move(out));
  }
  return mistake("unknown method '" + name + "'");
}

Result<Value> apply_binary(const std::string& op, const Value& left, const Value& right) {
  if (op == "==") return Value(equal(left, right));
  if (op == "!=") return Value(!equal(left, right));
  if (op == "~") return Value(left.str() + right.str());
  if (op == "in" || op == "not in") {
    TRY(const bool found, contains(right, left));
    return Value(found == (op == "in"));
  }
  if (op == "+" && left.text() && right.text()) return Value(*left.text() + *right.text());
  if (op == "+" && left.list() && right.list()) {
    List joined = *left.list();
    joined.insert(joined.end(), right.list()->begin(), right.list()->end());
    return Value(std::move(joined));
  }
  if (op == "<" || op == ">" || op == "<=" || op == ">=") {
    if (!(left.number() && right.number()) && !(left.text() && right.text())) return mistake("'" + op + "' needs two numbers or two strings");
    const auto order = left.text() ? *left.text() <=> *right.text() : std::weak_ordering(left.to_double() < right.to_double() ? std::weak_ordering::less : left.to_double() > right.to_double() ? std::weak_ordering::greater : std::weak_ordering::equivalent);
    if (op == "<") return Value(order < 0);
    if (op == ">") return Value(order > 0);
    return Value(op == "<=" ? order <= 0 : order >= 0);
  }
  if (!left.number() || !right.number()) return mistake("'" + op + "' does not work on these types");
  return arithmetic(op, left, right);
}

Value at_index(const Value& value, const Value& index) {
  if (value.dict()) {
    const Value* found = index.text() ? value.get(*index.text()) : nullptr;
    return found ? *found : Value();
  }
  if (!index.as<int64_t>()) return {};
  const List list = value.list() ? *value.list() : value.text() ? characters(*value.text()) : List();
  const auto size = static_cast<int64_t>(list.size());
  const int64_t at = *index.as<int64_t>() < 0 ? *index.as<int64_t>() + size : *index.as<int64_t>();
  return at >= 0 && at < size ? list[static_cast<size_t>(at)] : Value();
}

Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (!value.text() && !value.list()) return mistake("only strings and lists can be sliced");
  const List list = value.list() ? *value.list() : characters(*value.text());
  const auto size = static_cast<int64_t>(list.size());
  const int64_t by = step.as<int64_t>() ? *step.as<int64_t>() : 1;
  if (by == 0) return mistake("a slice's step is zero");
  const auto bound = [&](const Value& given, int64_t otherwise) {
    if (!given.as<int64_t>()) return otherwise;
    const int64_t at = *given.as<int64_t>() < 0 ? *given.as<int64_t>() + size : *given.as<int64_t>();
    return by > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  List out;
  const int64_t first = bound(begin, by > 0 ? 0 : size - 1), last = bound(end, by > 0 ? size : -1);
  for (int64_t i = first; by > 0 ? i < last : i > last; i += std::clamp<int64_t>(by, -size - 1, size + 1)) out.push_back(list[static_cast<size_t>(i)]);
  if (value.list()) return Value(std::move(out));
  std::string text;
  for (const Value& item : out) text += item.str();
  return Value(text);
}

}  // namespace calliope::model::jinja
