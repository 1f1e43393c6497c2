#include "model/template_parser.h"

#include <charconv>

#include "model/template_lexer.h"

namespace calliope::model::jinja {
namespace {

constexpr int kMaxDepth = 200;

NodePtr make(Kind kind, std::string name = {}) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->name = std::move(name);
  return node;
}

// Recursive descent over Jinja's grammar (jinja2/parser.py).
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<NodePtr> run() {
    TRY(NodePtr body, statements({}));
    if (peek().kind != TokenKind::end) return mistake("unexpected '" + peek(1).text + "'");
    return body;
  }

 private:
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool symbol(std::string_view text) const { return peek().kind == TokenKind::symbol && peek().text == text; }
  bool word(std::string_view text) const { return peek().kind == TokenKind::name && peek().text == text; }
  bool take_symbol(std::string_view text) { return symbol(text) && ++at_; }
  bool take_word(std::string_view text) { return word(text) && ++at_; }

  std::unexpected<Error> mistake(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "chat template, line " + std::to_string(peek().line) + ": " + what, "chat_template");
  }
  Result<void> expect(std::string_view text) {
    if (!take_symbol(text)) return mistake("expected '" + std::string(text) + "'");
    return {};
  }
  Result<std::string> identifier() {
    if (peek().kind != TokenKind::name) return mistake("expected a name");
    return tokens_[at_++].text;
  }
  Result<void> end_block() {
    if (peek().kind != TokenKind::end_block) return mistake("expected '%}'");
    ++at_;
    return {};
  }
  bool at_block(std::string_view name) const {
    return peek().kind == TokenKind::begin_block && peek(1).kind == TokenKind::name && peek(1).text == name;
  }
  Result<void> close_block(std::string_view name) {
    if (!at_block(name)) return mistake("expected '{% " + std::string(name) + " %}'");
    at_ += 2;
    return end_block();
  }

  struct Deeper {
    int& depth;
    explicit Deeper(int& d) : depth(++d) {}
    ~Deeper() { --depth; }
  };

  // Statements until one of the block names in `until`, which is not taken.
  Result<NodePtr> statements(std::initializer_list<std::string_view> until) {
    Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return mistake("nested too deeply");
    NodePtr body = make(Kind::block);
    for (;;) {
      for (const std::string_view name : until) {
        if (at_block(name)) return body;
      }
      const Token& token = peek();
      if (token.kind == TokenKind::text) {
        body->children.push_back(make(Kind::text, token.text));
        ++at_;
      } else if (token.kind == TokenKind::begin_output) {
        ++at_;
        NodePtr output = make(Kind::output);
        TRY(NodePtr value, expression());
        output->children.push_back(std::move(value));
        if (peek().kind != TokenKind::end_output) return mistake("expected '}}'");
        ++at_;
        body->children.push_back(std::move(output));
      } else if (token.kind == TokenKind::begin_block) {
        TRY(NodePtr statement, block());
        if (statement) body->children.push_back(std::move(statement));
      } else {
        if (until.size() > 0) return mistake("a block is not closed");
        return body;
      }
    }
  }

  Result<NodePtr> block() {
    if (peek(1).kind != TokenKind::name) return mistake("expected a statement");
    const std::string name = peek(1).text;
    if (name == "if") return at_ += 2, branch();
    if (name == "for") return at_ += 2, loop();
    if (name == "set") return at_ += 2, assign();
    if (name == "macro") return at_ += 2, macro();
    if (name == "generation" || name == "endgeneration") {  // marks for training; nothing to do
      at_ += 2;
      TRY_VOID(end_block());
      return NodePtr();
    }
    ++at_;
    return mistake("unknown statement '" + name + "'");
  }

  // children: condition, body, condition, body, ..., [else body]
  Result<NodePtr> branch() {
    NodePtr node = make(Kind::branch);
    for (;;) {
      TRY(NodePtr condition, expression());
      TRY_VOID(end_block());
      TRY(NodePtr body, statements({"elif", "else", "endif"}));
      node->children.push_back(std::move(condition));
      node->children.push_back(std::move(body));
      if (!at_block("elif")) break;
      at_ += 2;
    }
    if (at_block("else")) {
      TRY_VOID(close_block("else"));
      TRY(NodePtr otherwise, statements({"endif"}));
      node->children.push_back(std::move(otherwise));
    }
    TRY_VOID(close_block("endif"));
    return node;
  }

  // names: targets; children: iterable, body, [filter or null], [else body]
  Result<NodePtr> loop() {
    NodePtr node = make(Kind::loop);
    do {
      TRY(std::string target, identifier());
      node->names.push_back(std::move(target));
    } while (take_symbol(","));
    if (!take_word("in")) return mistake("expected 'in'");
    TRY(NodePtr iterable, or_expression());
    NodePtr filter;
    if (take_word("if")) {
      TRY(filter, expression());
    }
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"else", "endfor"}));
    NodePtr otherwise;
    if (at_block("else")) {
      TRY_VOID(close_block("else"));
      TRY(otherwise, statements({"endfor"}));
    }
    TRY_VOID(close_block("endfor"));
    node->children.push_back(std::move(iterable));
    node->children.push_back(std::move(body));
    node->children.push_back(std::move(filter));
    node->children.push_back(std::move(otherwise));
    return node;
  }

  // name and, for a namespace's attribute, names[0]; children: value, or a body when it is a block set
  Result<NodePtr> assign() {
    NodePtr node = make(Kind::assign);
    TRY(node->name, identifier());
    if (take_symbol(".")) {
      TRY(std::string attribute, identifier());
      node->names.push_back(std::move(attribute));
    }
    if (take_symbol("=")) {
      TRY(NodePtr value, expression());
      TRY_VOID(end_block());
      node->children.push_back(std::move(value));
      return node;
    }
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"endset"}));
    TRY_VOID(close_block("endset"));
    node->children.push_back(std::move(body));
    return node;
  }

  // name, names: parameters, keywords: defaults, children: body
  Result<NodePtr> macro() {
    NodePtr node = make(Kind::macro);
    TRY(node->name, identifier());
    TRY_VOID(expect("("));
    while (!take_symbol(")")) {
      TRY(std::string parameter, identifier());
      if (take_symbol("=")) {
        TRY(NodePtr otherwise, expression());
        node->keywords.emplace_back(parameter, std::move(otherwise));
      }
      node->names.push_back(std::move(parameter));
      if (!take_symbol(",") && !symbol(")")) return mistake("expected ')'");
    }
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"endmacro"}));
    TRY_VOID(close_block("endmacro"));
    node->children.push_back(std::move(body));
    return node;
  }

  Result<NodePtr> expression() {
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
      node->children.push_back(std::move(condition));
      node->children.push_back(std::move(value));
      node->children.push_back(std::move(otherwise));
      value = std::move(node);
    }
    return value;
  }

  static NodePtr binary(std::string op, NodePtr left, NodePtr right) {
    NodePtr node = make(Kind::binary, std::move(op));
    node->children.push_back(std::move(left));
    node->children.push_back(std::move(right));
    return node;
  }

  Result<NodePtr> or_expression() {
    TRY(NodePtr left, and_expression());
    while (take_word("or")) {
      TRY(NodePtr right, and_expression());
      left = binary("or", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> and_expression() {
    TRY(NodePtr left, not_expression());
    while (take_word("and")) {
      TRY(NodePtr right, not_expression());
      left = binary("and", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> not_expression() {
    Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return mistake("nested too deeply");
    if (!take_word("not")) return comparison();
    NodePtr node = make(Kind::unary, "not");
    TRY(NodePtr value, not_expression());
    node->children.push_back(std::move(value));
    return node;
  }

  Result<NodePtr> comparison() {
    TRY(NodePtr left, chain(0));
    for (;;) {
      std::string op;
      for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (op.empty() && take_symbol(candidate)) op = candidate;
      }
      if (op.empty() && take_word("in")) op = "in";
      if (op.empty() && word("not") && peek(1).text == "in") {
        at_ += 2;
        op = "not in";
      }
      if (op.empty()) return left;
      TRY(NodePtr right, chain(0));
      left = binary(op, std::move(left), std::move(right));
    }
  }

  // Levels of left-associative operators, loosest first.
  Result<NodePtr> chain(size_t level) {
    static const std::vector<std::string_view> kLevels[] = {{"+", "-"}, {"~"}, {"*", "//", "/", "%"}};
    if (level == std::size(kLevels)) return unary();
    TRY(NodePtr left, chain(level + 1));
    for (;;) {
      std::string op;
      for (const std::string_view candidate : kLevels[level]) {
        if (op.empty() && take_symbol(candidate)) op = candidate;
      }
      if (op.empty()) return left;
      TRY(NodePtr right, chain(level + 1));
      left = binary(op, std::move(left), std::move(right));
    }
  }

  Result<NodePtr> unary() {
    Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return mistake("nested too deeply");
    for (const std::string_view op : {"-", "+"}) {
      if (!take_symbol(op)) continue;
      NodePtr node = make(Kind::unary, std::string(op));
      TRY(NodePtr value, unary());
      node->children.push_back(std::move(value));
      return node;
    }
    TRY(NodePtr value, primary());
    return postfix(std::move(value));
  }

  Result<NodePtr> primary() {
    const Token token = peek();
    if (take_symbol("(")) {
      TRY(NodePtr first, expression());
      if (!symbol(",")) {
        TRY_VOID(expect(")"));
        return first;
      }
      NodePtr tuple = make(Kind::list);
      tuple->children.push_back(std::move(first));
      while (take_symbol(",") && !symbol(")")) {
        TRY(NodePtr item, expression());
        tuple->children.push_back(std::move(item));
      }
      TRY_VOID(expect(")"));
      return tuple;
    }
    if (take_symbol("[")) return list();
    if (take_symbol("{")) return dict();
    ++at_;
    NodePtr literal = make(Kind::literal);
    switch (token.kind) {
      case TokenKind::string:
        literal->value = token.text;
        while (peek().kind == TokenKind::string) literal->value = literal->value.str() + tokens_[at_++].text;
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
        if (token.text == "true" || token.text == "True") literal->value = true;
        else if (token.text == "false" || token.text == "False") literal->value = false;
        else if (token.text == "none" || token.text == "None") literal->value = None();
        else return make(Kind::name, token.text);
        return literal;
      default:
        --at_;
        return mistake("expected an expression");
    }
  }

  Result<NodePtr> list() {
    NodePtr node = make(Kind::list);
    while (!take_symbol("]")) {
      TRY(NodePtr item, expression());
      node->children.push_back(std::move(item));
      if (!take_symbol(",") && !symbol("]")) return mistake("expected ']'");
    }
    return node;
  }

  // children: key, value, key, value, ...
  Result<NodePtr> dict() {
    NodePtr node = make(Kind::dict);
    while (!take_symbol("}")) {
      TRY(NodePtr key, expression());
      TRY_VOID(expect(":"));
      TRY(NodePtr value, expression());
      node->children.push_back(std::move(key));
      node->children.push_back(std::move(value));
      if (!take_symbol(",") && !symbol("}")) return mistake("expected '}'");
    }
    return node;
  }

  Result<void> arguments(Node& node) {
    while (!take_symbol(")")) {
      if (peek().kind == TokenKind::name && peek(1).kind == TokenKind::symbol && peek(1).text == "=") {
        const std::string name = peek().text;
        at_ += 2;
        TRY(NodePtr value, expression());
        node.keywords.emplace_back(name, std::move(value));
      } else {
        TRY(NodePtr value, expression());
        node.children.push_back(std::move(value));
      }
      if (!take_symbol(",") && !symbol(")")) return mistake("expected ')'");
    }
    return {};
  }

  Result<NodePtr> subscript(NodePtr value) {
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
    node->children.push_back(std::move(value));
    if (!slice && !parts[0]) return mistake("expected an index");
    for (int i = 0; i < (slice ? 3 : 1); ++i) node->children.push_back(std::move(parts[i]));
    return node;
  }

  Result<NodePtr> postfix(NodePtr value) {
    for (int links = 0;; ++links) {
      if (links > kMaxDepth) return mistake("an expression is too long");
      if (take_symbol(".")) {
        NodePtr node = make(Kind::attribute);
        if (peek().kind == TokenKind::integer) node->name = tokens_[at_++].text;
        else {
          TRY(node->name, identifier());
        }
        node->children.push_back(std::move(value));
        value = std::move(node);
      } else if (take_symbol("[")) {
        TRY(value, subscript(std::move(value)));
      } else if (take_symbol("(")) {
        NodePtr node = make(Kind::call);
        node->children.push_back(std::move(value));
        TRY_VOID(arguments(*node));
        value = std::move(node);
      } else if (take_symbol("|")) {
        NodePtr node = make(Kind::filter);
        TRY(node->name, identifier());
        node->children.push_back(std::move(value));
        if (take_symbol("(")) TRY_VOID(arguments(*node));
        value = std::move(node);
      } else if (take_word("is")) {
        NodePtr node = make(Kind::test);
        node->negated = take_word("not");
        TRY(node->name, identifier());
        node->children.push_back(std::move(value));
        if (take_symbol("(")) TRY_VOID(arguments(*node));
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<NodePtr> parse_template(std::string_view source) {
  TRY(auto tokens, lex_template(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace calliope::model::jinja
