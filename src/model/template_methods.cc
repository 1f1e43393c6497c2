// Methods of strings and dicts, and "%" formatting.
#include <algorithm>
#include <cstdio>

#include "base/utf8.h"
#include "model/template_builtins.h"
#include "model/template_text.h"

namespace calliope::model::jinja {
namespace {

std::unexpected<Error> mistake(const std::string& what) { return fail(ErrorCode::invalid_argument, what); }

bool affix(const std::string& text, const Value& what, bool front) {
  const auto has = [&](const Value& one) {
    return one.text() && (front ? text.starts_with(*one.text()) : text.ends_with(*one.text()));
  };
  return what.list() ? std::any_of(what.list()->begin(), what.list()->end(), has) : has(what);
}

// str.title: a capital after whatever is no letter.
std::string title_method(const std::string& text) {
  std::string out;
  bool start = true;
  for (const std::string& c : characters(text)) {
    out += start ? upper(c) : lower(c);
    start = !all_are(c, "isalpha");
  }
  return out;
}

Result<Value> find(const std::string& text, const std::string& name, const Value& what) {
  if (!what.text()) return mistake("'" + name + "' needs a string");
  const size_t found = name.starts_with('r') ? text.rfind(*what.text()) : text.find(*what.text());
  if (found != std::string::npos) return Value(length(std::string_view(text).substr(0, found)));
  if (name.ends_with("index")) return mistake("'" + name + "' found nothing");
  return Value(-1);
}

Value count(const std::string& text, const std::string& what) {
  if (what.empty()) return length(text) + 1;
  int64_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

Result<Value> split_method(const std::string& text, const std::string& name, const Arguments& arguments) {
  const Value separator = arguments.get(0, "sep"), most = arguments.get(1, "maxsplit");
  if (separator.text() && separator.text()->empty()) return mistake("an empty separator");
  const auto parts = split(text, text_or_none(separator), most.whole() ? most.to_int() : -1, name == "rsplit");
  return Value(List(parts.begin(), parts.end()));
}

Result<Value> partition(const std::string& text, const Value& separator, bool right) {
  if (!separator.text() || separator.text()->empty()) return mistake("'partition' needs a separator");
  const size_t at = right ? text.rfind(*separator.text()) : text.find(*separator.text());
  if (at == std::string::npos) return Value(right ? List{"", "", text} : List{text, "", ""}, true);
  return Value(List{text.substr(0, at), separator, text.substr(at + separator.text()->size())}, true);
}

Result<Value> text_method(const std::string& text, const std::string& name, const Arguments& arguments) {
  const Value first = arguments.get(0, "");
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    return Value(stripped(text, text_or_none(first), name != "rstrip", name != "lstrip"));
  }
  if (name == "startswith" || name == "endswith") return Value(affix(text, first, name == "startswith"));
  if (name == "upper") return Value(upper(text));
  if (name == "lower" || name == "casefold") return Value(lower(text));
  if (name == "capitalize") return Value(capitalized(text));
  if (name == "title") return Value(title_method(text));
  if (name == "split" || name == "rsplit") return split_method(text, name, arguments);
  if (name == "partition" || name == "rpartition") return partition(text, first, name == "rpartition");
  if (name == "find" || name == "rfind" || name == "index" || name == "rindex") return find(text, name, first);
  if (name.starts_with("is") && name != "isprintable" && name != "isidentifier") {
    for (const char* known : {"isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower"}) {
      if (name == known) return Value(all_are(text, name));
    }
  }
  if (name == "splitlines") {
    const auto lines = split_lines(text);
    return Value(List(lines.begin(), lines.end()));
  }
  if (name == "replace") {
    const Value from = arguments.get(0, "old"), to = arguments.get(1, "new"), most = arguments.get(2, "count");
    if (!from.text() || !to.text()) return mistake("'replace' needs two strings");
    auto out = replaced(text, *from.text(), *to.text(), most.whole() ? most.to_int() : -1, kMaxText);
    if (!out) return mistake("a string is too long");
    return Value(std::move(*out));
  }
  if (name == "join") return apply_filter("join", first, {{Value(text)}, {}});
  if (name == "count" && first.text()) return count(text, *first.text());
  if (name == "removeprefix" && first.text())
    return Value(text.substr(text.starts_with(*first.text()) ? first.text()->size() : 0));
  if (name == "removesuffix" && first.text()) {
    return Value(text.substr(0, text.size() - (text.ends_with(*first.text()) ? first.text()->size() : 0)));
  }
  return fail(ErrorCode::unsupported, "the string method '" + name + "' is not supported");
}

Result<Value> dict_method(const Value& value, const std::string& name, const Arguments& arguments) {
  if (name == "get") {
    const Value key = arguments.get(0, "");
    const Value* found = key.text() ? value.get(*key.text()) : nullptr;
    return found ? *found : arguments.values.size() > 1 ? arguments.values[1] : Value(None());
  }
  if (name == "copy") return value;
  List out;
  for (const auto& [key, item] : *value.dict()) {
    if (name == "keys")
      out.emplace_back(key);
    else if (name == "values")
      out.push_back(item);
    else if (name == "items")
      out.emplace_back(List{Value(key), item}, true);
    else
      break;
  }
  if (name == "keys" || name == "values" || name == "items") return Value(std::move(out));
  return mistake("'" + name + "' would change a dict");
}

}  // namespace

bool is_dict_method(std::string_view name) {
  for (const char* known :
       {"get", "keys", "values", "items", "copy", "pop", "popitem", "update", "setdefault", "clear", "fromkeys"}) {
    if (name == known) return true;
  }
  return false;
}

Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments) {
  if (value.text()) return text_method(*value.text(), name, arguments);
  if (value.dict() && is_dict_method(name)) return dict_method(value, name, arguments);
  if (value.list() && (name == "count" || name == "index")) {
    const List& list = *value.list();
    const Value wanted = arguments.get(0, "");
    const auto same = [&](const Value& item) { return equal(item, wanted); };
    if (name == "count") return Value(static_cast<int64_t>(std::count_if(list.begin(), list.end(), same)));
    const auto found = std::find_if(list.begin(), list.end(), same);
    if (found == list.end()) return mistake("'index' found nothing");
    return Value(static_cast<int64_t>(found - list.begin()));
  }
  if (value.list())
    return fail(ErrorCode::unsupported, "the list method '" + name + "' is not supported; lists cannot be changed");
  return mistake(std::string(value.type_name()) + " has no method '" + name + "'");
}

Result<Value> percent_format(const std::string& format, const List& values) {
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    std::string spec = "%";
    for (++at; at < format.size() && std::string_view("0123456789.-+ ").find(format[at]) != std::string_view::npos;
         ++at)
      spec += format[at];
    const char kind = at < format.size() ? format[at] : '?';
    if (kind == '%' && spec == "%") {
      out += '%';
      continue;
    }
    if (spec.size() > 5) return mistake("a format is too wide");
    if (next >= values.size()) return mistake("not enough values for a format");
    const Value& value = values[next++];
    char buffer[1200];
    if ((kind == 's' || kind == 'r') && spec == "%") {
      out += kind == 's' ? value.str() : value.repr();
    } else if ((kind == 'd' || kind == 'i' || kind == 'x') && value.number()) {
      const double number = value.to_double();
      if (!(number > -9e18 && number < 9e18)) return mistake("a number is too large");
      const long long whole = value.whole() ? value.to_int() : static_cast<long long>(number);
      std::snprintf(buffer, sizeof buffer, (spec + (kind == 'x' ? "llx" : "lld")).c_str(), whole);
      out += buffer;
    } else if (kind == 'f' && value.number()) {
      std::snprintf(buffer, sizeof buffer, (spec + "f").c_str(), value.to_double());
      out += buffer;
    } else {
      return fail(ErrorCode::unsupported,
                  "the format '" + spec + kind + "' is not supported for " + std::string(value.type_name()));
    }
    if (out.size() > kMaxText) return mistake("a string is too long");
  }
  if (next < values.size()) return mistake("too many values for a format");
  return Value(std::move(out));
}

}  // namespace calliope::model::jinja
