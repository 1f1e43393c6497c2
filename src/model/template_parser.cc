#include "model/template_parser.h"

#include <algorithm>
#include <utility>

#include "model/template_expression_parser.h"

namespace calliope::model::jinja {
namespace {

// Statements; the expressions are in the base.
class Parser : ExpressionParser {
 public:
  explicit Parser(std::vector<Token> tokens) : ExpressionParser(std::move(tokens)) {}

  Result<NodePtr> run() {
    TRY(NodePtr body, statements({}));
    if (peek().kind != TokenKind::end) return mistake("unexpected '" + peek(1).text + "'");
    if (body->height > kMaxHeight) return mistake("nested too deeply");
    return body;
  }

 private:
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
        body->adopt(make(Kind::text, token.text));
        ++at_;
      } else if (token.kind == TokenKind::begin_output) {
        ++at_;
        NodePtr output = make(Kind::output);
        TRY(NodePtr value, tuple_expression());
        output->adopt(std::move(value));
        if (peek().kind != TokenKind::end_output) return mistake("expected '}}'");
        ++at_;
        body->adopt(std::move(output));
      } else if (token.kind == TokenKind::begin_block) {
        TRY(NodePtr statement, block());
        if (statement) body->adopt(std::move(statement));
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
    if (name == "with") return at_ += 2, with();
    if (name == "generation") return at_ += 2, generation();
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return ++at_, mistake("'" + name + "' outside of a loop");
      at_ += 2;
      TRY_VOID(end_block());
      return make(name == "break" ? Kind::leave : Kind::next);
    }
    ++at_;
    static constexpr std::string_view kKnown[] = {"block", "call",   "do",      "extends",    "filter",
                                                  "from",  "import", "include", "autoescape", "trans"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) {
      return unsupported("'{% " + name + " %}' is not supported");
    }
    return mistake("unknown statement '" + name + "'");
  }

  // names: targets; children: body, values
  Result<NodePtr> with() {
    NodePtr node = make(Kind::scope);
    std::vector<NodePtr> values;
    while (peek().kind != TokenKind::end_block) {
      if (!values.empty()) TRY_VOID(expect(","));
      TRY(std::string target, identifier());
      TRY_VOID(expect("="));
      TRY(NodePtr value, expression());
      node->names.push_back(std::move(target));
      values.push_back(std::move(value));
    }
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"endwith"}));
    TRY_VOID(close_block("endwith"));
    node->adopt(std::move(body));
    for (NodePtr& value : values) node->adopt(std::move(value));
    return node;
  }

  // Marks for training: a scope of its own.
  Result<NodePtr> generation() {
    NodePtr node = make(Kind::scope);
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"endgeneration"}));
    TRY_VOID(close_block("endgeneration"));
    node->adopt(std::move(body));
    return node;
  }

  // children: condition, body, condition, body, ..., [else body]
  Result<NodePtr> branch() {
    NodePtr node = make(Kind::branch);
    for (;;) {
      TRY(NodePtr condition, expression());
      TRY_VOID(end_block());
      TRY(NodePtr body, statements({"elif", "else", "endif"}));
      node->adopt(std::move(condition));
      node->adopt(std::move(body));
      if (!at_block("elif")) break;
      at_ += 2;
    }
    if (at_block("else")) {
      TRY_VOID(close_block("else"));
      TRY(NodePtr otherwise, statements({"endif"}));
      node->adopt(std::move(otherwise));
    }
    TRY_VOID(close_block("endif"));
    return node;
  }

  // names: targets; children: iterable, body, [filter or null], [else body]
  Result<NodePtr> loop() {
    NodePtr node = make(Kind::loop);
    TRY_VOID(targets(*node));
    if (!take_word("in")) return mistake("expected 'in'");
    TRY(NodePtr iterable, tuple_without_condition());
    NodePtr filter;
    if (take_word("if")) {
      TRY(filter, expression());
    }
    if (word("recursive")) return unsupported("'recursive' loops are not supported");
    TRY_VOID(end_block());
    ++loops_;
    auto parsed = statements({"else", "endfor"});
    --loops_;
    TRY(NodePtr body, std::move(parsed));
    NodePtr otherwise;
    if (at_block("else")) {
      TRY_VOID(close_block("else"));
      TRY(otherwise, statements({"endfor"}));
    }
    TRY_VOID(close_block("endfor"));
    node->adopt(std::move(iterable));
    node->adopt(std::move(body));
    node->adopt(std::move(filter));
    node->adopt(std::move(otherwise));
    return node;
  }

  // One name or several, "a, b" or "(a, b)".
  Result<void> targets(Node& node) {
    const bool open = take_symbol("(");
    do {
      TRY(std::string target, identifier());
      node.names.push_back(std::move(target));
    } while (take_symbol(","));
    if (open) return expect(")");
    return {};
  }

  // names: targets, or name and names[0] for a namespace's attribute; children: value, or a body when it is a block set
  Result<NodePtr> assign() {
    NodePtr node = make(Kind::assign);
    if (peek(1).kind == TokenKind::symbol && peek(1).text == ".") {
      TRY(node->name, identifier());
      ++at_;
    }
    TRY_VOID(targets(*node));
    if (take_symbol("=")) {
      TRY(NodePtr value, tuple_expression());
      TRY_VOID(end_block());
      node->adopt(std::move(value));
      return node;
    }
    if (symbol("|")) return unsupported("'{% set name | filter %}' is not supported");
    if (node->names.size() > 1) return mistake("expected '='");
    TRY_VOID(end_block());
    TRY(NodePtr body, statements({"endset"}));
    TRY_VOID(close_block("endset"));
    node->adopt(std::move(body));
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
        node->height = std::max(node->height, otherwise->height + 1);
        node->keywords.emplace_back(parameter, std::move(otherwise));
      }
      node->names.push_back(std::move(parameter));
      if (!take_symbol(",") && !symbol(")")) return mistake("expected ')'");
    }
    TRY_VOID(end_block());
    const int loops = std::exchange(loops_, 0);
    auto parsed = statements({"endmacro"});
    loops_ = loops;
    TRY(NodePtr body, std::move(parsed));
    TRY_VOID(close_block("endmacro"));
    node->adopt(std::move(body));
    return node;
  }

  int loops_ = 0;
};

}  // namespace

void Node::adopt(std::unique_ptr<Node> child) {
  if (child) height = std::max(height, child->height + 1);
  children.push_back(std::move(child));
}

Result<NodePtr> parse_template(std::string_view source) {
  TRY(auto tokens, lex_template(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace calliope::model::jinja
