#include "model/template_value.h"

#include <algorithm>
#include <cmath>

#include "model/template_text.h"

namespace calliope::model::jinja {
namespace {

constexpr int64_t kMaxWeight = int64_t{1} << 50;

template <class Container, class Get>
void measure(Container& container, Get get) {
  for (const auto& item : container.items) {
    container.depth = std::max(container.depth, 1 + get(item).depth());
    container.weight = std::min(kMaxWeight, container.weight + get(item).weight());
  }
}

}  // namespace

Value::Value(List value, bool tuple) {
  auto made = std::make_shared<Sequence>(Sequence{std::move(value), tuple});
  measure(*made, [](const Value& item) -> const Value& { return item; });
  data = std::shared_ptr<const Sequence>(std::move(made));
}

Value::Value(Dict value) {
  auto made = std::make_shared<Mapping>(Mapping{std::move(value)});
  measure(*made, [](const auto& item) -> const Value& { return item.second; });
  for (const auto& [key, item] : made->items) made->weight += static_cast<int64_t>(key.size() / 16);
  data = std::shared_ptr<const Mapping>(std::move(made));
}

const Sequence* Value::sequence() const {
  const auto* p = as<std::shared_ptr<const Sequence>>();
  return p ? p->get() : nullptr;
}

const List* Value::list() const { return sequence() ? &sequence()->items : nullptr; }

const Dict* Value::dict() const {
  const auto* p = as<std::shared_ptr<const Mapping>>();
  return p ? &(*p)->items : nullptr;
}

Namespace* Value::space() const {
  const auto* p = as<std::shared_ptr<Namespace>>();
  return p ? p->get() : nullptr;
}

double Value::to_double() const {
  if (const auto* value = as<double>()) return *value;
  return static_cast<double>(to_int());
}

int64_t Value::to_int() const {
  if (const auto* value = as<int64_t>()) return *value;
  const auto* value = as<bool>();
  return value && *value ? 1 : 0;
}

int Value::depth() const {
  if (sequence()) return sequence()->depth;
  const auto* mapping = as<std::shared_ptr<const Mapping>>();
  return mapping ? (*mapping)->depth : 0;
}

int64_t Value::weight() const {
  if (text()) return 1 + static_cast<int64_t>(text()->size() / 16);
  if (sequence()) return sequence()->weight;
  const auto* mapping = as<std::shared_ptr<const Mapping>>();
  return mapping ? (*mapping)->weight : 1;
}

bool Value::truth() const {
  if (undefined() || none()) return false;
  if (number()) return to_double() != 0;
  if (text()) return !text()->empty();
  if (list()) return !list()->empty();
  return !dict() || !dict()->empty();
}

std::string Value::str() const { return text() ? *text() : undefined() ? "" : repr(); }

std::string Value::repr() const {
  if (undefined()) return "Undefined";
  if (none()) return "None";
  if (const auto* value = as<bool>()) return *value ? "True" : "False";
  if (const auto* value = as<int64_t>()) return std::to_string(*value);
  if (const auto* value = as<double>()) return float_text(*value);
  if (text()) return quoted(*text());
  std::string out;
  if (list()) {
    for (const Value& item : *list()) out += (out.empty() ? "" : ", ") + item.repr();
    if (sequence()->tuple) return "(" + out + (list()->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (!dict()) return "<" + std::string(type_name()) + ">";
  for (const auto& [key, item] : *dict()) out += (out.empty() ? "" : ", ") + quoted(key) + ": " + item.repr();
  return "{" + out + "}";
}

const Value* Value::get(std::string_view key) const {
  const Dict* fields = space() ? &space()->fields : dict();
  if (!fields) return nullptr;
  const auto found =
      std::find_if(fields->begin(), fields->end(), [&](const auto& entry) { return entry.first == key; });
  return found == fields->end() ? nullptr : &found->second;
}

std::string_view Value::type_name() const {
  if (undefined()) return "undefined";
  if (none()) return "none";
  if (as<bool>()) return "a boolean";
  if (number()) return "a number";
  if (text()) return "a string";
  if (list()) return sequence()->tuple ? "a tuple" : "a list";
  if (dict()) return "a dict";
  return space() ? "a namespace" : "a macro";
}

bool equal(const Value& a, const Value& b) {
  if (a.whole() && b.whole()) return a.to_int() == b.to_int();
  if (a.number() && b.number()) return a.to_double() == b.to_double();
  if (a.data.index() != b.data.index()) return false;
  if (a.text()) return *a.text() == *b.text();
  if (a.space()) return a.space() == b.space();
  if (const auto* macro = a.as<Macro>()) return macro->node == b.as<Macro>()->node;
  if (a.list()) {
    return a.sequence()->tuple == b.sequence()->tuple &&
           std::equal(a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(), equal);
  }
  if (!a.dict()) return true;
  return a.dict()->size() == b.dict()->size() &&
         std::all_of(a.dict()->begin(), a.dict()->end(), [&](const auto& entry) {
           const Value* other = b.get(entry.first);
           return other && equal(entry.second, *other);
         });
}

std::string to_json(const Value& value, const JsonStyle& style, int depth) {
  if (value.none()) return "null";
  if (const auto* flag = value.as<bool>()) return *flag ? "true" : "false";
  if (const auto* number = value.as<double>(); number && !std::isfinite(*number)) {
    return std::isnan(*number) ? "NaN" : *number > 0 ? "Infinity" : "-Infinity";
  }
  if (value.text()) return json_quoted(*value.text(), style.ensure_ascii);
  if (value.number()) return value.str();
  const auto line = [&](int level) {
    return style.indent < 0 ? std::string() : "\n" + std::string(static_cast<size_t>(style.indent * level), ' ');
  };
  const std::string comma = !style.item_separator.empty() ? style.item_separator : style.indent < 0 ? ", " : ",";
  const std::string colon = style.key_separator.empty() ? ": " : style.key_separator;
  std::string out;
  if (const List* list = value.list()) {
    if (list->empty()) return "[]";
    for (const Value& item : *list)
      out += (out.empty() ? "" : comma) + line(depth + 1) + to_json(item, style, depth + 1);
    return "[" + out + line(depth) + "]";
  }
  if (!value.dict() || value.dict()->empty()) return value.dict() ? "{}" : "null";
  Dict sorted;
  if (style.sort_keys) {
    sorted = *value.dict();
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  for (const auto& [key, item] : style.sort_keys ? sorted : *value.dict()) {
    out += (out.empty() ? "" : comma) + line(depth + 1) + json_quoted(key, style.ensure_ascii) + colon +
           to_json(item, style, depth + 1);
  }
  return "{" + out + line(depth) + "}";
}

}  // namespace calliope::model::jinja
