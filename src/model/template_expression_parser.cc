#include "model/template_expression_parser.h"

#include <algorithm>
#include <charconv>

namespace calliope::model::jinja {

// "a, b" without parentheses is a tuple.
Result<NodePtr> ExpressionParser::tuple_expression() {
  TRY(NodePtr first, expression());
  return rest_of_tuple(std::move(first));
}
// In a loop's head "if" is the loop's.
Result<NodePtr> ExpressionParser::tuple_without_condition() {
  TRY(NodePtr first, or_expression());
  return rest_of_tuple(std::move(first));
}
Result<NodePtr> ExpressionParser::rest_of_tuple(NodePtr first) {
  if (!symbol(",")) return first;
  NodePtr tuple = make(Kind::tuple);
  tuple->adopt(std::move(first));
  while (take_symbol(",")) {
    if (peek().kind == TokenKind::end_block || peek().kind == TokenKind::end_output || symbol(")")) break;
    TRY(NodePtr item, or_expression());
    tuple->adopt(std::move(item));
  }
  return tuple;
}

Result<NodePtr> ExpressionParser::expression() {
  Deeper deeper(depth_);
  if (depth_ > kMaxDepth) return mistake("nested too deeply");
  TRY(NodePtr value, or_expression());
  while (take_word("if")) {
    NodePtr node = make(Kind::ternary);
    TRY(NodePtr condition, or_expression());
    NodePtr otherwise = make(Kind::literal);
    if (take_word("else")) {
      TRY(otherwise, expression());
    }
    node->adopt(std::move(condition));
    node->adopt(std::move(value));
    node->adopt(std::move(otherwise));
    TRY(value, checked(std::move(node)));
  }
  return value;
}

Result<NodePtr> ExpressionParser::binary(std::string op, NodePtr left, NodePtr right) const {
  NodePtr node = make(Kind::binary, std::move(op));
  node->adopt(std::move(left));
  node->adopt(std::move(right));
  return checked(std::move(node));
}
// A long chain of operators makes a tree as deep as it is long.
Result<NodePtr> ExpressionParser::checked(NodePtr node) const {
  if (node->height > kMaxHeight) return mistake("an expression is too long");
  return node;
}

Result<NodePtr> ExpressionParser::or_expression() {
  TRY(NodePtr left, and_expression());
  while (take_word("or")) {
    TRY(NodePtr right, and_expression());
    TRY(left, binary("or", std::move(left), std::move(right)));
  }
  return left;
}

Result<NodePtr> ExpressionParser::and_expression() {
  TRY(NodePtr left, not_expression());
  while (take_word("and")) {
    TRY(NodePtr right, not_expression());
    TRY(left, binary("and", std::move(left), std::move(right)));
  }
  return left;
}

Result<NodePtr> ExpressionParser::not_expression() {
  Deeper deeper(depth_);
  if (depth_ > kMaxDepth) return mistake("nested too deeply");
  if (!take_word("not")) return comparison();
  NodePtr node = make(Kind::unary, "not");
  TRY(NodePtr value, not_expression());
  node->adopt(std::move(value));
  return node;
}

// names: operators; children: one operand more. "a < b < c" compares each pair.
Result<NodePtr> ExpressionParser::comparison() {
  TRY(NodePtr left, chain(0));
  NodePtr node;
  for (;;) {
    std::string op;
    for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (op.empty() && take_symbol(candidate)) op = candidate;
    }
    if (op.empty() && take_word("in")) op = "in";
    if (op.empty() && word("not") && peek(1).kind == TokenKind::name && peek(1).text == "in") {
      at_ += 2;
      op = "not in";
    }
    if (op.empty()) return node ? std::move(node) : std::move(left);
    if (!node) {
      node = make(Kind::comparison);
      node->adopt(std::move(left));
    }
    TRY(NodePtr right, chain(0));
    node->names.push_back(op);
    node->adopt(std::move(right));
  }
}

// Levels of left-associative operators, loosest first.
Result<NodePtr> ExpressionParser::chain(size_t level) {
  static const std::vector<std::string_view> kLevels[] = {{"+", "-"}, {"~"}, {"*", "//", "/", "%"}, {"**"}};
  if (level == std::size(kLevels)) return unary();
  TRY(NodePtr left, chain(level + 1));
  for (;;) {
    std::string op;
    for (const std::string_view candidate : kLevels[level]) {
      if (op.empty() && take_symbol(candidate)) op = candidate;
    }
    if (op.empty()) return left;
    TRY(NodePtr right, chain(level + 1));
    TRY(left, binary(op, std::move(left), std::move(right)));
  }
}

Result<NodePtr> ExpressionParser::unary(bool with_filters) {
  Deeper deeper(depth_);
  if (depth_ > kMaxDepth) return mistake("nested too deeply");
  NodePtr node;
  if (symbol("-") || symbol("+")) {
    node = make(Kind::unary, tokens_[at_++].text);
    TRY(NodePtr value, unary(false));
    node->adopt(std::move(value));
  } else {
    TRY(node, primary());
  }
  return postfix(std::move(node), with_filters);
}

Result<NodePtr> ExpressionParser::primary() {
  const Token token = peek();
  if (take_symbol("(")) {
    if (take_symbol(")")) return make(Kind::tuple);
    TRY(NodePtr value, tuple_expression());
    TRY_VOID(expect(")"));
    return value;
  }
  if (take_symbol("[")) return list();
  if (take_symbol("{")) return dict();
  ++at_;
  NodePtr literal = make(Kind::literal);
  switch (token.kind) {
    case TokenKind::string:
      literal->value = token.text;
      if (peek().kind == TokenKind::string) {
        std::string joined = token.text;
        while (peek().kind == TokenKind::string) joined += tokens_[at_++].text;
        literal->value = joined;
      }
      return literal;
    case TokenKind::integer: {
      int64_t number = 0;
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
      literal->value = number;
      return literal;
    }
    case TokenKind::real: {
      double number = 0;
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
      literal->value = number;
      return literal;
    }
    case TokenKind::name:
      if (token.text == "true" || token.text == "True")
        literal->value = true;
      else if (token.text == "false" || token.text == "False")
        literal->value = false;
      else if (token.text == "none" || token.text == "None")
        literal->value = None();
      else
        return make(Kind::name, token.text);
      return literal;
    default: --at_; return mistake("expected an expression");
  }
}

Result<NodePtr> ExpressionParser::list() {
  NodePtr node = make(Kind::list);
  while (!take_symbol("]")) {
    TRY(NodePtr item, expression());
    node->adopt(std::move(item));
    if (!take_symbol(",") && !symbol("]")) return mistake("expected ']'");
  }
  return node;
}

// children: key, value, key, value, ...
Result<NodePtr> ExpressionParser::dict() {
  NodePtr node = make(Kind::dict);
  while (!take_symbol("}")) {
    TRY(NodePtr key, expression());
    TRY_VOID(expect(":"));
    TRY(NodePtr value, expression());
    node->adopt(std::move(key));
    node->adopt(std::move(value));
    if (!take_symbol(",") && !symbol("}")) return mistake("expected '}'");
  }
  return node;
}

Result<void> ExpressionParser::arguments(Node& node) {
  while (!take_symbol(")")) {
    if (symbol("*") || symbol("**")) return unsupported("'" + peek().text + "' arguments are not supported");
    if (peek().kind == TokenKind::name && peek(1).kind == TokenKind::symbol && peek(1).text == "=") {
      const std::string name = peek().text;
      at_ += 2;
      TRY(NodePtr value, expression());
      node.height = std::max(node.height, value->height + 1);
      node.keywords.emplace_back(name, std::move(value));
    } else {
      TRY(NodePtr value, expression());
      node.adopt(std::move(value));
    }
    if (!take_symbol(",") && !symbol(")")) return mistake("expected ')'");
  }
  return {};
}

Result<NodePtr> ExpressionParser::subscript(NodePtr value) {
  NodePtr parts[3];
  bool slice = false;
  for (int i = 0; i < 3; ++i) {
    if (!symbol(":") && !symbol("]")) {
      TRY(parts[i], expression());
    }
    if (!take_symbol(":")) break;
    slice = true;
  }
  TRY_VOID(expect("]"));
  NodePtr node = make(slice ? Kind::slice : Kind::index);
  node->adopt(std::move(value));
  if (!slice && !parts[0]) return mistake("expected an index");
  for (int i = 0; i < (slice ? 3 : 1); ++i) node->adopt(std::move(parts[i]));
  return node;
}

Result<NodePtr> ExpressionParser::postfix(NodePtr value, bool with_filters) {
  for (;;) {
    if (value->height > kMaxHeight) return mistake("an expression is too long");
    if (take_symbol(".")) {
      NodePtr node = make(Kind::attribute);
      if (peek().kind == TokenKind::integer) {
        node->kind = Kind::index;
        node->adopt(std::move(value));
        TRY(NodePtr index, primary());
        node->adopt(std::move(index));
      } else {
        TRY(node->name, identifier());
        node->adopt(std::move(value));
      }
      value = std::move(node);
    } else if (take_symbol("[")) {
      TRY(value, subscript(std::move(value)));
    } else if (take_symbol("(")) {
      NodePtr node = make(Kind::call);
      node->adopt(std::move(value));
      TRY_VOID(arguments(*node));
      value = std::move(node);
    } else if (with_filters && take_symbol("|")) {
      NodePtr node = make(Kind::filter);
      TRY(node->name, identifier());
      node->adopt(std::move(value));
      if (take_symbol("(")) TRY_VOID(arguments(*node));
      value = std::move(node);
    } else if (with_filters && take_word("is")) {
      TRY(value, test(std::move(value)));
    } else {
      return value;
    }
  }
}

// "is name", "is name(arguments)", "is name argument"
Result<NodePtr> ExpressionParser::test(NodePtr value) {
  NodePtr node = make(Kind::test);
  node->negated = take_word("not");
  TRY(node->name, identifier());
  node->adopt(std::move(value));
  if (take_symbol("(")) {
    TRY_VOID(arguments(*node));
    return node;
  }
  const TokenKind next = peek().kind;
  const bool name = next == TokenKind::name && !word("else") && !word("or") && !word("and") && !word("is") &&
                    !word("if") && !word("not") && !word("in");
  if (name || next == TokenKind::string || next == TokenKind::integer || next == TokenKind::real || symbol("[") ||
      symbol("{")) {
    TRY(NodePtr argument, primary());
    TRY(argument, postfix(std::move(argument), false));
    node->adopt(std::move(argument));
  }
  return node;
}

}  // namespace calliope::model::jinja
