#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "assistant/request.h"
#include "base/result.h"

namespace calliope::engine {

/// What an answer may look like, byte by byte: JSON after a schema, or calls of tools. Made of nodes that refer to each
/// other by index; GrammarMatcher walks through it.
struct Grammar {
  static constexpr size_t kMostProperties = 256;  ///< of one object
  static constexpr int64_t kNever = int64_t{1} << 40;

  enum class Kind {
    literals,  ///< one of `texts`
    sequence,  ///< all of `children`
    choice,    ///< one of `children`
    object,    ///< `properties` in any order, and others with values of `rest` (-1: none)
    array,     ///< items of `rest`
    string,
    number,
  };
  struct Property {
    std::string key;  ///< as JSON spells it, without quotes
    int value = -1;
    bool required = false;
  };
  struct Node {
    Kind kind = Kind::choice;
    std::vector<std::string> texts = {};  ///< rising
    std::vector<int> children = {};
    std::vector<Property> properties = {};
    int rest = -1;
    int64_t least = 0, most = kNever;  ///< characters of a string, items of an array
    bool whole = false;                ///< a number without fraction and exponent
    int64_t least_bytes = kNever;      ///< of its shortest value
    int64_t least_depth = kNever;      ///< frames that some value needs inside each other
  };
  std::vector<Node> nodes;
  int root = -1;

  const Node& at(int node) const { return nodes[static_cast<size_t>(node)]; }

  /// JSON that a schema allows. Known: type, properties, required, additionalProperties, items, enum, const, anyOf, oneOf
  /// (as anyOf), allOf of one, $ref inside the document, minLength, maxLength, minItems, maxItems; annotations are passed
  /// over. An object whose properties are listed has no others unless additionalProperties says so. unsupported names the
  /// keyword and its place for what would have to be checked and is not; too_large for more than the limits.
  static Result<std::shared_ptr<const Grammar>> of_schema(std::string_view schema);

  /// What request.tool_choice and request.json_schema ask for: one call or more, or the schema's JSON; null when the answer
  /// is free. Errors name the field: tools[0].function.parameters, response_format, tool_choice.
  static Result<std::shared_ptr<const Grammar>> of_request(const assistant::Request& request);
};

}  // namespace calliope::engine
