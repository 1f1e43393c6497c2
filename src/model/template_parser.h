#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/template_value.h"

namespace calliope::model::jinja {

enum class Kind {
  // expressions
  literal,
  name,
  attribute,
  index,
  slice,
  call,
  filter,
  test,
  unary,
  binary,
  comparison,
  ternary,
  list,
  tuple,
  dict,
  // statements
  output,
  text,
  block,
  branch,
  loop,
  assign,
  macro,
  scope,
  leave,
  next,
};

/// A node of a template. What `children` and `name` mean depends on the kind; see the parser.
struct Node {
  void adopt(std::unique_ptr<Node> child);

  Kind kind = Kind::text;
  std::string name;  ///< operator, identifier, filter, test, text
  Value value;       ///< of a literal
  std::vector<std::unique_ptr<Node>> children;
  std::vector<std::pair<std::string, std::unique_ptr<Node>>> keywords;  ///< of calls, filters and macro defaults
  std::vector<std::string> names;  ///< loop targets, macro parameters, operators of a comparison
  bool negated = false;            ///< "is not"
  int line = 0;
  int height = 1;  ///< levels of nodes below and with this one
};
using NodePtr = std::unique_ptr<Node>;

/// Parses a whole template with trim_blocks and lstrip_blocks, as transformers renders chat templates.
Result<NodePtr> parse_template(std::string_view source);

}  // namespace calliope::model::jinja
