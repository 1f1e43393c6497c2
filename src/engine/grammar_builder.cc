#include "engine/grammar_builder.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace calliope::engine {
namespace {

namespace json = boost::json;

constexpr size_t kMostNodes = 8192, kMostValues = 4096;
constexpr int kMostSchemaDepth = 64;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// A string as JSON spells it, without the quotes.
std::string spelled(std::string_view text) {
  const std::string quoted = json::serialize(json::string(text));
  return quoted.substr(1, quoted.size() - 2);
}

std::unexpected<Error> unsupported(std::string_view keyword, const std::string& path, std::string_view why) {
  return fail(ErrorCode::unsupported, "the JSON Schema's '" + std::string(keyword) + "' at " + path + " " + std::string(why));
}

std::unexpected<Error> invalid(const std::string& path, std::string_view what) {
  return fail(ErrorCode::invalid_argument, "the JSON Schema at " + path + " " + std::string(what));
}

// Keywords that narrow values and cannot be held while writing.
constexpr std::array<std::string_view, 24> kUnsupported = {
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "not", "if", "then", "else",
    "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties",
    "unevaluatedItems", "contains", "prefixItems", "minProperties", "maxProperties", "additionalItems", "$dynamicRef", "$recursiveRef"};
// Keywords that narrow values: beside $ref, anyOf and so on they would have to be intersected.
constexpr std::array<std::string_view, 15> kNarrowing = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
                                                         "oneOf", "allOf", "$ref", "minLength", "maxLength", "minItems", "maxItems"};

Result<void> check_alone(const json::object& object, std::string_view keyword, const std::string& path) {
  for (const std::string_view other : kNarrowing) {
    if (other != keyword && object.contains(other)) {
      return unsupported(keyword, path, "stands beside '" + std::string(other) + "', and their combination is not supported: move it into one schema");
    }
  }
  return {};
}

Result<int64_t> count(const json::object& object, std::string_view keyword, const std::string& path, int64_t otherwise) {
  const auto* value = object.if_contains(keyword);
  if (!value) return otherwise;
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > 1'000'000) {
    return invalid(path, "has a '" + std::string(keyword) + "' that is no whole number from 0 to 1000000");
  }
  return value->get_int64();
}

bool is_of_type(const json::value& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_bool();
  if (type == "null") return value.is_null();
  if (type == "object") return value.is_object();
  return type == "array" && value.is_array();
}

// Whether "type" of the schema, if it has one, allows the value.
bool type_allows(const json::object& object, const json::value& value) {
  const auto* type = object.if_contains("type");
  if (!type) return true;
  if (type->is_string()) return is_of_type(value, view(type->get_string()));
  return type->is_array() && std::ranges::any_of(type->get_array(), [&](const json::value& one) {
           return one.is_string() && is_of_type(value, view(one.get_string()));
         });
}

}  // namespace

int GrammarBuilder::add(Grammar::Node node) {
  grammar_.nodes.push_back(std::move(node));
  return static_cast<int>(grammar_.nodes.size()) - 1;
}

int GrammarBuilder::add_literals(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return add({.kind = Grammar::Kind::literals, .texts = std::move(texts)});
}

int GrammarBuilder::any() {
  if (any_ >= 0) return any_;
  any_ = add_choice({});
  const int words = add_literals({"true", "false", "null"}), text = add({.kind = Grammar::Kind::string}),
            number = add({.kind = Grammar::Kind::number}), list = add({.kind = Grammar::Kind::array, .rest = any_}),
            object = add({.kind = Grammar::Kind::object, .rest = any_});
  set_choice(any_, {words, text, number, list, object});
  return any_;
}

Result<int> GrammarBuilder::add_schema(const json::value& document) {
  document_ = &document;
  references_.clear();
  return schema(document, "#");
}

Result<int> GrammarBuilder::schema(const json::value& value, const std::string& path) {
  if (grammar_.nodes.size() > kMostNodes) return fail(ErrorCode::too_large, "the JSON Schema is too large: it has more than 8192 parts");
  if (value.is_bool() && value.get_bool()) return any();
  if (value.is_bool()) return invalid(path, "is false: no value fits it");
  if (!value.is_object()) return invalid(path, "is no object and no boolean");
  if (depth_ >= kMostSchemaDepth) return fail(ErrorCode::too_large, "the JSON Schema is nested more than 64 levels deep at " + path);
  const json::object& object = value.get_object();
  for (const std::string_view keyword : kUnsupported) {
    if (object.contains(keyword)) return unsupported(keyword, path, "is not supported; leave it out and check the answer yourself");
  }
  if (const auto* unique = object.if_contains("uniqueItems"); unique && *unique != json::value(false)) {
    return unsupported("uniqueItems", path, "is not supported; leave it out and check the answer yourself");
  }
  struct Deeper {
    int& depth;
    explicit Deeper(int& depth) : depth(depth) { ++depth; }
    ~Deeper() { --depth; }
  } deeper(depth_);
  if (const auto* target = object.if_contains("$ref")) {
    TRY_VOID(check_alone(object, "$ref", path));
    if (!target->is_string()) return invalid(path, "has a '$ref' that is no string");
    return reference(view(target->get_string()), path);
  }
  for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
    const auto* list = object.if_contains(keyword);
    if (!list) continue;
    TRY_VOID(check_alone(object, keyword, path));
    if (std::string_view(keyword) == "allOf" && !(list->is_array() && list->get_array().size() == 1)) {
      return unsupported("allOf", path, "is only supported with one schema in it; merge them into one");
    }
    return alternatives(*list, path + "/" + keyword);
  }
  if (object.contains("enum") || object.contains("const")) return values(object, path);
  const auto* type = object.if_contains("type");
  if (!type) {
    for (const char* keyword : {"properties", "required", "additionalProperties"}) {
      if (object.contains(keyword)) return object_node(object, path);
    }
    for (const char* keyword : {"items", "minItems", "maxItems"}) {
      if (object.contains(keyword)) return array_node(object, path);
    }
    if (object.contains("minLength") || object.contains("maxLength")) return of_type("string", object, path);
    return any();
  }
  if (type->is_string()) return of_type(view(type->get_string()), object, path);
  if (!type->is_array() || type->get_array().empty()) return invalid(path, "has a 'type' that is no name and no list of names");
  std::vector<int> children;
  for (const auto& one : type->get_array()) {
    if (!one.is_string()) return invalid(path, "has a 'type' that is no name and no list of names");
    TRY(const int child, of_type(view(one.get_string()), object, path));
    children.push_back(child);
  }
  return add_choice(std::move(children));
}

Result<int> GrammarBuilder::reference(std::string_view target, const std::string& path) {
  if (const auto known = references_.find(target); known != references_.end()) return known->second;
  if (target != "#" && !target.starts_with("#/")) return unsupported("$ref", path, "points out of the document; only '#/...' is followed");
  json::error_code error;
  const json::value* found = document_->find_pointer(json::string_view(target.data() + 1, target.size() - 1), error);
  if (!found) return invalid(path, "has a '$ref' to " + std::string(target) + ", which is not there");
  const int node = add_choice({});
  references_.emplace(target, node);
  TRY(const int child, schema(*found, std::string(target)));
  set_choice(node, {child});
  return node;
}

Result<int> GrammarBuilder::alternatives(const json::value& list, const std::string& path) {
  if (!list.is_array() || list.get_array().empty()) return invalid(path, "is no list of schemas");
  std::vector<int> children;
  for (size_t i = 0; i < list.get_array().size(); ++i) {
    TRY(const int child, schema(list.get_array()[i], path + "/" + std::to_string(i)));
    children.push_back(child);
  }
  return add_choice(std::move(children));
}

Result<int> GrammarBuilder::values(const json::object& object, const std::string& path) {
  json::array list;
  const auto* one = object.if_contains("const");
  const auto* many = object.if_contains("enum");
  if (many && !many->is_array()) return invalid(path, "has an 'enum' that is no list");
  if (one && (!many || std::ranges::find(many->get_array(), *one) != many->get_array().end())) list.push_back(*one);
  else if (!one) list = many->get_array();
  std::vector<std::string> texts;
  for (const auto& value : list) {
    if (!type_allows(object, value)) continue;
    if (value.is_double()) return unsupported("enum", path, "holds a number with a fraction, which has many spellings; use strings");
    texts.push_back(json::serialize(value));
  }
  if (texts.empty()) return invalid(path, "has no value that its 'enum', 'const' and 'type' allow");
  if (texts.size() > kMostValues) return fail(ErrorCode::too_large, "the JSON Schema at " + path + " has more than 4096 values in its 'enum'");
  return add_literals(std::move(texts));
}

Result<int> GrammarBuilder::of_type(std::string_view type, const json::object& object, const std::string& path) {
  if (type == "object") return object_node(object, path);
  if (type == "array") return array_node(object, path);
  if (type == "string") {
    TRY(const int64_t least, count(object, "minLength", path, 0));
    TRY(const int64_t most, count(object, "maxLength", path, Grammar::kNever));
    if (least > most) return invalid(path, "has a 'minLength' above its 'maxLength'");
    return add({.kind = Grammar::Kind::string, .least = least, .most = most});
  }
  if (type == "number") return add({.kind = Grammar::Kind::number});
  if (type == "integer") return add({.kind = Grammar::Kind::number, .whole = true});
  if (type == "boolean") return add_literals({"true", "false"});
  if (type == "null") return add_literals({"null"});
  return invalid(path, "has the type '" + std::string(type) + "'; known are object, array, string, number, integer, boolean and null");
}

Result<int> GrammarBuilder::object_node(const json::object& object, const std::string& path) {
  Grammar::Node node{.kind = Grammar::Kind::object};
  const auto* properties = object.if_contains("properties");
  if (properties && !properties->is_object()) return invalid(path, "has 'properties' that are no object");
  if (properties) {
    for (const auto& [key, value] : properties->get_object()) {
      TRY(const int child, schema(value, path + "/properties/" + std::string(key)));
      node.properties.push_back({spelled(key), child});
    }
  }
  if (const auto* rest = object.if_contains("additionalProperties"); rest ? *rest != json::value(false) : !properties) {
    if (rest) {
      TRY(node.rest, schema(*rest, path + "/additionalProperties"));
    } else {
      node.rest = any();
    }
  }
  if (const auto* required = object.if_contains("required")) {
    if (!required->is_array()) return invalid(path, "has a 'required' that is no list");
    for (const auto& name : required->get_array()) {
      if (!name.is_string()) return invalid(path, "has a 'required' that holds something else than names");
      const std::string key = spelled(view(name.get_string()));
      auto found = std::ranges::find(node.properties, key, &Grammar::Property::key);
      if (found == node.properties.end()) {
        if (node.rest < 0) return invalid(path, "requires '" + key + "', which is not among its 'properties'");
        found = node.properties.insert(node.properties.end(), {key, node.rest});
      }
      found->required = true;
    }
  }
  if (node.properties.size() > Grammar::kMostProperties) {
    return fail(ErrorCode::too_large, "the JSON Schema at " + path + " has an object of more than 256 properties");
  }
  return add(std::move(node));
}

Result<int> GrammarBuilder::array_node(const json::object& object, const std::string& path) {
  Grammar::Node node{.kind = Grammar::Kind::array};
  TRY(node.least, count(object, "minItems", path, 0));
  TRY(node.most, count(object, "maxItems", path, Grammar::kNever));
  if (node.least > node.most) return invalid(path, "has a 'minItems' above its 'maxItems'");
  if (const auto* items = object.if_contains("items")) {
    TRY(node.rest, schema(*items, path + "/items"));
  } else {
    node.rest = any();
  }
  return add(std::move(node));
}

// Shortest values and shallowest values, until nothing gets smaller.
Result<std::shared_ptr<const Grammar>> GrammarBuilder::finish(int root) {
  const auto bytes_of = [&](int node) { return grammar_.at(node).least_bytes; };
  const auto depth_of = [&](int node) { return grammar_.at(node).least_depth; };
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (Grammar::Node& node : grammar_.nodes) {
      int64_t bytes = 0, depth = 0;
      switch (node.kind) {
        case Grammar::Kind::literals:
          bytes = Grammar::kNever;
          for (const auto& text : node.texts) bytes = std::min(bytes, static_cast<int64_t>(text.size()));
          break;
        case Grammar::Kind::string: bytes = 2 + node.least; break;
        case Grammar::Kind::number: bytes = 1; break;
        case Grammar::Kind::choice:
          bytes = depth = Grammar::kNever;
          for (const int child : node.children) {
            bytes = std::min(bytes, bytes_of(child));
            depth = std::min(depth, depth_of(child) - 1);
          }
          break;
        case Grammar::Kind::sequence:
          for (const int child : node.children) {
            bytes += bytes_of(child);
            depth = std::max(depth, depth_of(child));
          }
          break;
        case Grammar::Kind::array:
          bytes = node.least == 0 ? 2 : bytes_of(node.rest) >= Grammar::kNever / 1'000'000 ? Grammar::kNever : 1 + node.least * (bytes_of(node.rest) + 1);
          depth = node.least > 0 ? depth_of(node.rest) : 0;
          break;
        case Grammar::Kind::object:
          bytes = 2;
          for (const auto& property : node.properties) {
            if (!property.required) continue;
            bytes += static_cast<int64_t>(property.key.size()) + 3 + bytes_of(property.value) + (bytes > 2 ? 1 : 0);
            depth = std::max(depth, depth_of(property.value));
          }
          break;
      }
      bytes = std::min(bytes, Grammar::kNever);
      depth = std::min(depth + 1, Grammar::kNever);
      if (bytes < node.least_bytes || depth < node.least_depth) smaller = true;
      node.least_bytes = std::min(bytes, node.least_bytes);
      node.least_depth = std::min(depth, node.least_depth);
    }
  }
  grammar_.root = root;
  if (depth_of(root) > 32) {
    return fail(ErrorCode::invalid_argument, "no value fits the JSON Schema: it requires objects inside each other without an end, or more than 32 levels");
  }
  return std::make_shared<const Grammar>(std::move(grammar_));
}

}  // namespace calliope::engine
