// Jinja's filters.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "model/template_builtins.h"
#include "model/template_text.h"

namespace calliope::model::jinja {
namespace {

std::unexpected<Error> mistake(const std::string& what) { return fail(ErrorCode::invalid_argument, what); }

// "a.b.0" of a value, as Jinja's make_attrgetter.
Result<Value> attribute_of(const Value& value, const Value& path) {
  if (!path.text()) return at_index(value, path);
  Value at = value;
  for (const std::string& name : split(*path.text(), ".", -1, false)) {
    int64_t index = 0;
    const auto end = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool whole = end.ec == std::errc() && end.ptr == name.data() + name.size();
    TRY(at, at_index(at, whole ? Value(index) : Value(name)));
  }
  return at;
}

// The same, or the value itself when there is no path.
Result<Value> field_of(const Value& value, const Value& path) {
  if (path.undefined() || path.none()) return value;
  return attribute_of(value, path);
}

Result<Value> whole_number(const Value& value, const Arguments& arguments) {
  const Value given = arguments.get(0, "default");
  const Value otherwise = given.undefined() ? Value(0) : given;
  if (value.whole()) return Value(value.to_int());
  double number = value.to_double();
  if (value.text()) {
    std::string text(stripped(*value.text(), {}, true, true));
    std::erase(text, '_');
    const char* begin = text.c_str() + (text.starts_with('+') ? 1 : 0);
    int64_t whole = 0;
    const auto end = std::from_chars(begin, text.c_str() + text.size(), whole);
    if (end.ec == std::errc() && end.ptr == text.c_str() + text.size()) return Value(whole);
    char* stop = nullptr;
    number = std::strtod(begin, &stop);
    if (text.empty() || *stop != 0 || text.find_first_of("xX") != std::string::npos) return otherwise;
  } else if (!value.number()) {
    return otherwise;
  }
  if (!(std::abs(number) < 9e18)) return otherwise;
  return Value(static_cast<int64_t>(number));
}

Result<Value> real_number(const Value& value, const Arguments& arguments) {
  const Value given = arguments.get(0, "default");
  if (value.number()) return Value(value.to_double());
  const std::string text(value.text() ? stripped(*value.text(), {}, true, true) : "");
  char* stop = nullptr;
  const double number = std::strtod(text.c_str(), &stop);
  if (text.empty() || *stop != 0 || text.find_first_of("xX") != std::string::npos)
    return given.undefined() ? Value(0.0) : given;
  return Value(number);
}

Result<Value> rounded(const Value& value, const Arguments& arguments) {
  if (!value.number()) return mistake("'round' needs a number");
  const Value precision = arguments.get(0, "precision"), given = arguments.get(1, "method");
  const std::string method = given.text() ? *given.text() : "common";
  const int64_t digits = precision.to_int();
  if (digits < 0 || digits > 15)
    return fail(ErrorCode::unsupported, "'round' to " + std::to_string(digits) + " digits is not supported");
  if (method == "common") {
    if (value.whole()) return Value(value.to_int());
    char buffer[400];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), value.to_double());
    return Value(std::strtod(buffer, nullptr));
  }
  if (method != "ceil" && method != "floor") return mistake("'round' has no method '" + method + "'");
  const double scale = std::pow(10.0, static_cast<double>(digits)), scaled = value.to_double() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> json_filter(const Value& value, const Arguments& arguments) {
  const Value indent = arguments.get(1, "indent"), ascii = arguments.get(0, "ensure_ascii"),
              separators = arguments.get(2, "separators");
  JsonStyle style{.ensure_ascii = ascii.truth(), .sort_keys = arguments.get(3, "sort_keys").truth()};
  if (indent.whole()) {
    if (indent.to_int() < 0 || indent.to_int() > 64) return mistake("'tojson' needs an indent from 0 to 64");
    style.indent = static_cast<int>(indent.to_int());
  }
  if (const List* pair = separators.list(); pair && pair->size() == 2 && (*pair)[0].text() && (*pair)[1].text()) {
    style.item_separator = *(*pair)[0].text();
    style.key_separator = *(*pair)[1].text();
  }
  if (value.undefined() || value.space() || value.as<Macro>())
    return mistake("'tojson' on " + std::string(value.type_name()));
  const int64_t padding = std::max(0, style.indent) * value.depth() +
                          static_cast<int64_t>(style.item_separator.size() + style.key_separator.size());
  if (value.weight() > static_cast<int64_t>(kMaxText) / (16 + padding)) return mistake("'tojson' on too large a value");
  return Value(to_json(value, style));
}

// The key to sort and compare by: small letters for strings unless case_sensitive.
Result<Value> sort_key(const Value& value, const Value& attribute, bool case_sensitive) {
  TRY(const Value field, field_of(value, attribute));
  return field.text() && !case_sensitive ? Value(lower(*field.text())) : field;
}

Result<List> sorted(const List& list, const Value& attribute, bool case_sensitive, bool reverse) {
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : list) {
    TRY(Value key, sort_key(item, attribute, case_sensitive));
    keyed.emplace_back(std::move(key), item);
  }
  // Neighbours must be comparable before anything is moved.
  for (size_t i = 1; i < keyed.size(); ++i) {
    const auto comparable = compare("<", keyed[0].first, keyed[i].first);
    if (!comparable) return std::unexpected(comparable.error());
    if (keyed[i].first.list()) return fail(ErrorCode::unsupported, "'sort' of lists is not supported");
  }
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? *compare("<", b.first, a.first) : *compare("<", a.first, b.first);
  });
  List out;
  for (const auto& [key, item] : keyed) out.push_back(item);
  return out;
}

Result<Value> join(const List& list, const Value& separator, const Value& attribute) {
  std::string out;
  const std::string between = separator.str();
  for (size_t i = 0; i < list.size(); ++i) {
    TRY(const Value item, field_of(list[i], attribute));
    if (i > 0) out += between;
    out += item.str();
    if (out.size() > kMaxText) return mistake("a string is too long");
  }
  return Value(std::move(out));
}

Result<Value> indented(const Value& value, const Arguments& arguments) {
  const Value width = arguments.get(0, "width");
  const bool first = arguments.get(1, "first").truth(), blank = arguments.get(2, "blank").truth();
  if (width.whole() && (width.to_int() < 0 || width.to_int() > 256))
    return mistake("'indent' needs a width from 0 to 256");
  const std::string space =
      width.text() ? *width.text() : std::string(static_cast<size_t>(width.whole() ? width.to_int() : 4), ' ');
  const auto lines = split_lines(value.str() + "\n");
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) out += space;
    out += lines[i];
    if (out.size() > kMaxText) return mistake("a string is too long");
  }
  return Value(std::move(out));
}

Result<Value> mapped(List list, const Arguments& arguments) {
  const Value attribute = arguments.get(99, "attribute"), otherwise = arguments.get(99, "default");
  Arguments rest;
  for (size_t i = 1; i < arguments.values.size(); ++i) rest.values.push_back(arguments.values[i]);
  if (attribute.undefined()) {
    if (arguments.values.empty() || !arguments.values[0].text()) return mistake("'map' needs an attribute or a filter");
    rest.keywords = arguments.keywords;
  }
  for (Value& item : list) {
    if (attribute.undefined()) {
      TRY(item, apply_filter(*arguments.values[0].text(), item, rest));
    } else {
      TRY(item, attribute_of(item, attribute));
      if (item.undefined()) item = otherwise;
    }
  }
  return Value(std::move(list));
}

Result<Value> selected(const std::string& name, const List& list, const Arguments& arguments) {
  const bool by_attribute = name.ends_with("attr"), keep = name.starts_with("select");
  const size_t shift = by_attribute ? 1 : 0;
  Arguments rest;
  for (size_t i = shift + 1; i < arguments.values.size(); ++i) rest.values.push_back(arguments.values[i]);
  List out;
  for (const Value& item : list) {
    TRY(const Value tested, by_attribute ? attribute_of(item, arguments.get(0, "")) : Result<Value>(item));
    bool passes = tested.truth();
    if (arguments.values.size() > shift) {
      TRY(passes, apply_test(arguments.values[shift].str(), tested, rest));
    }
    if (passes == keep) out.push_back(item);
  }
  return Value(std::move(out));
}

Result<Value> text_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  if (name == "string") return Value(value.str());
  if (name == "trim") return Value(stripped(value.str(), text_or_none(arguments.get(0, "chars")), true, true));
  if (name == "upper") return Value(upper(value.str()));
  if (name == "lower") return Value(lower(value.str()));
  if (name == "capitalize") return Value(capitalized(value.str()));
  if (name == "title") return Value(titled(value.str()));
  if (name == "indent") return indented(value, arguments);
  if (name == "safe") return value.text() ? value : Value(value.str());
  if (name == "e" || name == "escape" || name == "forceescape") return Value(html_escaped(value.str()));
  if (name == "replace") {
    const Value most = arguments.get(2, "count");
    auto out = replaced(value.str(), arguments.get(0, "old").str(), arguments.get(1, "new").str(),
                        most.whole() ? most.to_int() : -1, kMaxText);
    if (!out) return mistake("a string is too long");
    return Value(std::move(*out));
  }
  if (name == "format") return percent_format(value.str(), arguments.values);
  return fail(ErrorCode::unsupported, "the filter '" + name + "' is not supported");
}

// Filters of a list, dict or string as what one can go over.
Result<Value> list_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  const bool case_sensitive = arguments.get(name == "sort" ? 1 : 0, "case_sensitive").truth();
  TRY(List list, iterate(value));
  if (name == "list") return Value(std::move(list));
  if (name == "first") return list.empty() ? Value() : list.front();
  if (name == "last") return list.empty() ? Value() : list.back();
  if (name == "join") return join(list, arguments.get(0, "d"), arguments.get(1, "attribute"));
  if (name == "map") return mapped(std::move(list), arguments);
  if (name == "reverse") {
    std::reverse(list.begin(), list.end());
    if (value.text()) return join(list, "", {});
    return Value(std::move(list));
  }
  if (name == "sort") {
    TRY(list, sorted(list, arguments.get(2, "attribute"), case_sensitive, arguments.get(0, "reverse").truth()));
    return Value(std::move(list));
  }
  if (name == "min" || name == "max") {
    TRY(list, sorted(list, arguments.get(1, "attribute"), case_sensitive, name == "max"));
    return list.empty() ? Value() : list.front();
  }
  if (name == "sum") {
    const Value attribute = arguments.get(0, "attribute"), start = arguments.get(1, "start");
    Value sum = start.undefined() ? Value(0) : start;
    for (const Value& item : list) {
      TRY(const Value field, field_of(item, attribute));
      TRY(sum, apply_binary("+", sum, field));
    }
    return sum;
  }
  if (name == "unique") {
    List keys, out;
    for (const Value& item : list) {
      TRY(const Value key, sort_key(item, arguments.get(1, "attribute"), case_sensitive));
      if (std::any_of(keys.begin(), keys.end(), [&](const Value& seen) { return equal(seen, key); })) continue;
      keys.push_back(key);
      out.push_back(item);
      if (keys.size() > 4096) return mistake("'unique' on too long a list");
    }
    return Value(std::move(out));
  }
  return selected(name, list, arguments);
}

}  // namespace

Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  if (name == "default" || name == "d") {
    const bool falsy = arguments.get(1, "boolean").truth() && !value.truth();
    if (!value.undefined() && !falsy) return value;
    const Value otherwise = arguments.get(0, "default_value");
    return otherwise.undefined() ? Value("") : otherwise;
  }
  if (name == "tojson") return json_filter(value, arguments);
  if (name == "length" || name == "count") {
    const auto length = length_of(value);
    if (!length) return mistake(std::string(value.type_name()) + " has no length");
    return Value(*length);
  }
  if (name == "int") return whole_number(value, arguments);
  if (name == "float") return real_number(value, arguments);
  if (name == "round") return rounded(value, arguments);
  if (name == "abs") {
    if (!value.number()) return mistake("'abs' needs a number");
    return value.to_double() < 0 ? apply_binary("-", Value(0), value) : Result<Value>(value);
  }
  if (name == "attr") return attribute_of(value, arguments.get(0, "name"));
  if (name == "items" || name == "dictsort") {
    if (value.undefined() && name == "items") return Value(List());
    if (!value.dict()) return mistake("'" + name + "' needs a dict, not " + std::string(value.type_name()));
    TRY(Value items, call_method(value, "items", {}));
    if (name == "items") return items;
    const Value by = arguments.get(1, "by");
    TRY(List list, sorted(*items.list(), by.text() && *by.text() == "value" ? Value(1) : Value(0),
                          arguments.get(0, "case_sensitive").truth(), arguments.get(2, "reverse").truth()));
    return Value(std::move(list));
  }
  for (const char* known : {"list", "first", "last", "join", "map", "reverse", "sort", "min", "max", "sum", "unique",
                            "select", "reject", "selectattr", "rejectattr"}) {
    if (name == known) return list_filter(name, value, arguments);
  }
  return text_filter(name, value, arguments);
}

}  // namespace calliope::model::jinja
