#include "model/template_value.h"

#include <charconv>
#include <cmath>

namespace calliope::model::jinja {
namespace {

std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e16) return std::to_string(static_cast<int64_t>(value)) + ".0";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          constexpr char kHex[] = "0123456789abcdef";
          out += "\\u00";
          out += kHex[c >> 4 & 15];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

}  // namespace

double Value::to_double() const {
  if (const auto* value = as<int64_t>()) return static_cast<double>(*value);
  if (const auto* value = as<bool>()) return *value ? 1 : 0;
  if (const auto* value = as<double>()) return *value;
  return 0;
}

bool Value::truth() const {
  if (undefined() || none()) return false;
  if (number()) return to_double() != 0;
  if (text()) return !text()->empty();
  if (list()) return !list()->empty();
  return dict() && !dict()->empty();
}

std::string Value::str() const {
  if (undefined()) return "";
  if (none()) return "None";
  if (const auto* value = as<bool>()) return *value ? "True" : "False";
  if (const auto* value = as<int64_t>()) return std::to_string(*value);
  if (const auto* value = as<double>()) return number_text(*value);
  if (text()) return *text();
  return to_json(*this);
}

const Value* Value::get(std::string_view key) const {
  if (!dict()) return nullptr;
  for (const auto& [name, value] : *dict()) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool equal(const Value& a, const Value& b) {
  if (a.number() && b.number()) return a.to_double() == b.to_double();
  if (a.data.index() != b.data.index()) return false;
  if (a.text()) return *a.text() == *b.text();
  if (a.list()) {
    if (a.list()->size() != b.list()->size()) return false;
    for (size_t i = 0; i < a.list()->size(); ++i) {
      if (!equal((*a.list())[i], (*b.list())[i])) return false;
    }
    return true;
  }
  if (a.dict()) {
    if (a.dict()->size() != b.dict()->size()) return false;
    for (const auto& [key, value] : *a.dict()) {
      const Value* other = b.get(key);
      if (!other || !equal(value, *other)) return false;
    }
  }
  return true;
}

std::string to_json(const Value& value, int indent, int depth) {
  const auto line = [&](int level) { return indent < 0 ? std::string() : "\n" + std::string(static_cast<size_t>(indent * level), ' '); };
  const std::string comma = indent < 0 ? ", " : ",";
  // A namespace may hold itself.
  if (depth > 64) return "null";
  if (value.undefined() || value.none()) return "null";
  if (const auto* flag = value.as<bool>()) return *flag ? "true" : "false";
  if (value.text()) return quote(*value.text());
  if (value.number()) return value.str();
  std::string out;
  if (const List* list = value.list()) {
    if (list->empty()) return "[]";
    for (const Value& item : *list) out += (out.empty() ? "" : comma) + line(depth + 1) + to_json(item, indent, depth + 1);
    return "[" + out + line(depth) + "]";
  }
  if (value.dict()->empty()) return "{}";
  for (const auto& [key, item] : *value.dict()) {
    out += (out.empty() ? "" : comma) + line(depth + 1) + quote(key) + ": " + to_json(item, indent, depth + 1);
  }
  return "{" + out + line(depth) + "}";
}

}  // namespace calliope::model::jinja
