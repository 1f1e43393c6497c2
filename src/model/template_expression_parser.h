#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/template_lexer.h"
#include "model/template_parser.h"

namespace calliope::model::jinja {

/// Recursive descent over Jinja's expressions (jinja2/parser.py).
class ExpressionParser {
 protected:
  static constexpr int kMaxDepth = 120;   // of the parser's own recursion
  static constexpr int kMaxHeight = 200;  // of the tree, which the evaluator recurses over

  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  NodePtr make(Kind kind, std::string name = {}) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->name = std::move(name);
    node->line = peek().line;
    return node;
  }
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool symbol(std::string_view text) const { return peek().kind == TokenKind::symbol && peek().text == text; }
  bool word(std::string_view text) const { return peek().kind == TokenKind::name && peek().text == text; }
  bool take_symbol(std::string_view text) { return symbol(text) && ++at_; }
  bool take_word(std::string_view text) { return word(text) && ++at_; }

  std::unexpected<Error> mistake(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "chat template, line " + std::to_string(peek().line) + ": " + what,
                "chat_template");
  }
  std::unexpected<Error> unsupported(const std::string& what) const {
    return fail(ErrorCode::unsupported, "chat template, line " + std::to_string(peek().line) + ": " + what,
                "chat_template");
  }
  Result<void> expect(std::string_view text) {
    if (!take_symbol(text)) return mistake("expected '" + std::string(text) + "' before '" + peek().text + "'");
    return {};
  }
  Result<std::string> identifier() {
    if (peek().kind != TokenKind::name) return mistake("expected a name");
    return tokens_[at_++].text;
  }
  struct Deeper {
    int& depth;
    explicit Deeper(int& d) : depth(++d) {}
    ~Deeper() { --depth; }
  };

  /// "a, b" without parentheses is a tuple.
  Result<NodePtr> tuple_expression();
  Result<NodePtr> tuple_without_condition();
  Result<NodePtr> rest_of_tuple(NodePtr first);
  Result<NodePtr> expression();
  Result<NodePtr> binary(std::string op, NodePtr left, NodePtr right) const;
  Result<NodePtr> checked(NodePtr node) const;
  Result<NodePtr> or_expression();
  Result<NodePtr> and_expression();
  Result<NodePtr> not_expression();
  Result<NodePtr> comparison();
  Result<NodePtr> chain(size_t level);
  Result<NodePtr> unary(bool with_filters = true);
  Result<NodePtr> primary();
  Result<NodePtr> list();
  Result<NodePtr> dict();
  Result<void> arguments(Node& node);
  Result<NodePtr> subscript(NodePtr value);
  Result<NodePtr> postfix(NodePtr value, bool with_filters = true);
  Result<NodePtr> test(NodePtr value);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace calliope::model::jinja
