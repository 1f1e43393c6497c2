#include "model/template_evaluator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/template_builtins.h"
#include "model/template_state.h"

namespace calliope::model::jinja {
namespace {

constexpr int kMaxRecursion = 300;  // of evaluate() and statement(), macros included

class Evaluator : TemplateState {
 public:
  using TemplateState::TemplateState;

  Result<std::string> run(const Node& root) {
    TRY_VOID(statement(root));
    return std::move(output_);
  }

 private:
  enum class Jump { none, leave, next };

  struct Deeper {
    int& depth;
    explicit Deeper(int& d) : depth(++d) {}
    ~Deeper() { --depth; }
  };

  // What a body writes instead of the output.
  Result<std::string> captured(const Node& body) {
    std::string outer = std::exchange(output_, {});
    auto done = statement(body);
    std::string text = std::exchange(output_, std::move(outer));
    TRY_VOID(done);
    return text;
  }

  Result<void> statement(const Node& node) {
    Deeper deeper(recursion_);
    line_ = node.line;
    if (recursion_ > kMaxRecursion) return mistake("nested too deeply");
    TRY_VOID(count(1));
    switch (node.kind) {
      case Kind::text: return write(node.name);
      case Kind::block:
        for (const NodePtr& child : node.children) {
          TRY_VOID(statement(*child));
          if (jump_ != Jump::none) break;
        }
        return {};
      case Kind::output: return output(node);
      case Kind::branch: return branch(node);
      case Kind::loop: return loop(node);
      case Kind::assign: return assign(node);
      case Kind::macro: return set(node.name, Macro{&node, scopes_.size()}), Result<void>();
      case Kind::scope: return scope(node);
      case Kind::leave: return jump_ = Jump::leave, Result<void>();
      case Kind::next: return jump_ = Jump::next, Result<void>();
      default: return mistake("not a statement");
    }
  }

  Result<void> output(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    if (value.text()) return write(*value.text());
    TRY_VOID(count(value.weight()));
    return write(value.str());
  }

  Result<void> branch(const Node& node) {
    size_t i = 0;
    for (; i + 1 < node.children.size(); i += 2) {
      TRY(const Value condition, evaluate(*node.children[i]));
      if (condition.truth()) return statement(*node.children[i + 1]);
    }
    return i < node.children.size() ? statement(*node.children[i]) : Result<void>();
  }

  Result<void> scope(const Node& node) {
    List values;
    for (size_t i = 1; i < node.children.size(); ++i) {
      TRY(Value value, evaluate(*node.children[i]));
      values.push_back(std::move(value));
    }
    Scoped scoped(scopes_);
    for (size_t i = 0; i < values.size(); ++i) set(node.names[i], values[i]);
    return statement(*node.children[0]);
  }

  Result<void> bind(const std::vector<std::string>& names, const Value& item) {
    if (names.size() == 1) return set(names[0], item), Result<void>();
    const auto parts = iterate(item);
    if (!parts) return placed(parts.error());
    if (parts->size() != names.size()) {
      return mistake(std::to_string(parts->size()) + " values for " + std::to_string(names.size()) + " names");
    }
    for (size_t i = 0; i < names.size(); ++i) set(names[i], (*parts)[i]);
    return {};
  }

  Result<List> items_of(const Node& node) {
    TRY(const Value iterable, evaluate(*node.children[0]));
    TRY_VOID(count(iterable.weight()));
    auto items = iterate(iterable);
    if (!items) return placed(items.error());
    if (!node.children[2]) return items;
    Scoped scoped(scopes_);
    List kept;
    for (const Value& item : *items) {
      TRY_VOID(bind(node.names, item));
      TRY(const Value passes, evaluate(*node.children[2]));
      if (passes.truth()) kept.push_back(item);
    }
    return kept;
  }

  Result<void> loop(const Node& node) {
    TRY(const List items, items_of(node));
    const auto size = static_cast<int64_t>(items.size());
    for (int64_t at = 0; at < size; ++at) {
      Scoped scoped(scopes_);
      const auto i = static_cast<size_t>(at);
      set("loop", loop_fields(items, i));
      TRY_VOID(bind(node.names, items[i]));
      TRY_VOID(statement(*node.children[1]));
      if (std::exchange(jump_, Jump::none) == Jump::leave) break;
    }
    if (!items.empty() || !node.children[3]) return {};
    Scoped scoped(scopes_);
    return statement(*node.children[3]);
  }

  Result<void> assign(const Node& node) {
    Value value;
    if (node.children[0]->kind == Kind::block) {
      Scoped scoped(scopes_);
      TRY(value, captured(*node.children[0]));
    } else {
      TRY(value, evaluate(*node.children[0]));
    }
    if (node.name.empty()) return bind(node.names, value);
    const Value space = lookup(node.name);
    if (!space.space())
      return mistake("'" + node.name + "' is no namespace, so '" + node.name + "." + node.names[0] + "' cannot be set");
    TRY_VOID(count(static_cast<int64_t>(space.space()->fields.size() / 8)));
    put(space.space()->fields, node.names[0], std::move(value));
    return {};
  }

  Result<Value> evaluate(const Node& node) {
    Deeper deeper(recursion_);
    line_ = node.line;
    if (recursion_ > kMaxRecursion) return mistake("nested too deeply");
    TRY_VOID(count(1));
    switch (node.kind) {
      case Kind::literal: return node.value;
      case Kind::name: return lookup(node.name);
      case Kind::list: return list(node, false);
      case Kind::tuple: return list(node, true);
      case Kind::dict: return dict(node);
      case Kind::attribute: return attribute(node);
      case Kind::index: return index(node);
      case Kind::slice: return slice(node);
      case Kind::unary: return unary(node);
      case Kind::binary: return binary(node);
      case Kind::comparison: return comparison(node);
      case Kind::ternary: return ternary(node);
      case Kind::filter: return filter(node);
      case Kind::test: return test(node);
      case Kind::call: return call(node);
      default: return mistake("not an expression");
    }
  }

  Result<Value> list(const Node& node, bool tuple) {
    List items;
    for (const NodePtr& child : node.children) {
      TRY(Value item, evaluate(*child));
      items.push_back(std::move(item));
    }
    return made(Value(std::move(items), tuple));
  }

  Result<Value> dict(const Node& node) {
    Dict dict;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      TRY(const Value key, evaluate(*node.children[i]));
      if (!key.text()) return mistake("a dict's keys must be strings, not " + std::string(key.type_name()));
      TRY(Value value, evaluate(*node.children[i + 1]));
      TRY_VOID(count(static_cast<int64_t>(dict.size() / 8)));
      put(dict, *key.text(), std::move(value));
    }
    return made(Value(std::move(dict)));
  }

  // How a message names what an expression stands for.
  static std::string described(const Node& node) {
    if (node.kind == Kind::name) return "'" + node.name + "'";
    if (node.kind == Kind::attribute) return "'." + node.name + "'";
    return "something";
  }

  Result<Value> attribute(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    if (value.undefined())
      return mistake("'." + node.name + "' of " + described(*node.children[0]) + ", which is undefined");
    if (value.dict() && is_dict_method(node.name))
      return mistake("the method '" + node.name + "' must be called", ErrorCode::unsupported);
    if (value.dict()) TRY_VOID(count(static_cast<int64_t>(value.dict()->size() / 8)));
    const Value* found = value.get(node.name);
    return found ? *found : Value();
  }

  Result<Value> index(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    TRY(const Value index, evaluate(*node.children[1]));
    if (value.undefined()) return mistake("an index into " + described(*node.children[0]) + ", which is undefined");
    if (!value.list()) TRY_VOID(count(value.weight()));
    return made(at_index(value, index));
  }

  Result<Value> slice(const Node& node) {
    Value parts[4];
    for (size_t i = 0; i < 4; ++i) {
      if (!node.children[i]) continue;
      TRY(parts[i], evaluate(*node.children[i]));
    }
    TRY_VOID(count(parts[0].weight() + length_of(parts[0]).value_or(0)));
    return made(slice_of(parts[0], parts[1], parts[2], parts[3]));
  }

  Result<Value> unary(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    if (node.name == "not") return Value(!value.truth());
    if (!value.number()) return mistake("'" + node.name + "' needs a number, not " + std::string(value.type_name()));
    return made(apply_binary(node.name, Value(0), value));
  }

  Result<Value> binary(const Node& node) {
    TRY(const Value left, evaluate(*node.children[0]));
    if (node.name == "and" && !left.truth()) return left;
    if (node.name == "or" && left.truth()) return left;
    TRY(const Value right, evaluate(*node.children[1]));
    if (node.name == "and" || node.name == "or") return right;
    TRY_VOID(count(left.weight() + right.weight()));
    return made(apply_binary(node.name, left, right));
  }

  Result<Value> comparison(const Node& node) {
    TRY(Value left, evaluate(*node.children[0]));
    for (size_t i = 0; i < node.names.size(); ++i) {
      TRY(Value right, evaluate(*node.children[i + 1]));
      TRY_VOID(count(left.weight() + right.weight()));
      const auto holds = compare(node.names[i], left, right);
      if (!holds) return placed(holds.error());
      if (!*holds) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }

  Result<Value> ternary(const Node& node) {
    TRY(const Value condition, evaluate(*node.children[0]));
    return evaluate(*node.children[condition.truth() ? 1 : 2]);
  }

  Result<Arguments> arguments_of(const Node& node) {
    Arguments arguments;
    for (size_t i = 1; i < node.children.size(); ++i) {
      TRY(Value value, evaluate(*node.children[i]));
      arguments.values.push_back(std::move(value));
    }
    for (const auto& [name, child] : node.keywords) {
      TRY(Value value, evaluate(*child));
      arguments.keywords.emplace_back(name, std::move(value));
    }
    TRY_VOID(count(arguments.weight() + static_cast<int64_t>(arguments.keywords.size())));
    return arguments;
  }

  Result<Value> filter(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    TRY(const Arguments arguments, arguments_of(node));
    // Filters that work item by item look at every argument for each.
    const bool each = node.name == "map" || node.name.find("select") == 0 || node.name.find("reject") == 0;
    TRY_VOID(count(std::min(value.weight(), kMaxSteps) * (each ? 1 + std::min(arguments.weight(), kMaxSteps) : 1)));
    if (node.name == "unique" || node.name == "sort") TRY_VOID(count(32 * length_of(value).value_or(0)));
    return made(apply_filter(node.name, value, arguments));
  }

  Result<Value> test(const Node& node) {
    TRY(const Value value, evaluate(*node.children[0]));
    TRY(const Arguments arguments, arguments_of(node));
    TRY_VOID(count(value.weight()));
    const auto holds = apply_test(node.name, value, arguments);
    if (!holds) return placed(holds.error());
    return Value(*holds != node.negated);
  }

  Result<Value> call(const Node& node) {
    const Node& callee = *node.children[0];
    Value value;
    if (callee.kind == Kind::attribute) {
      TRY(value, evaluate(*callee.children[0]));
      TRY(const Arguments arguments, arguments_of(node));
      line_ = node.line;
      if (value.undefined())
        return mistake("'." + callee.name + "()' of " + described(*callee.children[0]) + ", which is undefined");
      if (callee.name == "cycle" && value.get("index0") && !arguments.values.empty()) {
        return arguments.values[static_cast<size_t>(value.get("index0")->to_int()) % arguments.values.size()];
      }
      if (const Value* held = value.get(callee.name); held && held->as<Macro>())
        return call_macro(*held->as<Macro>(), arguments);
      TRY_VOID(count(value.weight()));
      return made(call_method(value, callee.name, arguments));
    }
    TRY(const Arguments arguments, arguments_of(node));
    line_ = node.line;
    if (callee.kind != Kind::name) return mistake("only names and methods can be called", ErrorCode::unsupported);
    const Value found = lookup(callee.name);
    if (const auto* macro = found.as<Macro>()) return call_macro(*macro, arguments);
    if (!found.undefined())
      return mistake("'" + callee.name + "' is " + std::string(found.type_name()) + " and cannot be called");
    if (callee.name == "namespace") return make_namespace(arguments);
    if (callee.name == "dict") return make_dict(arguments);
    if (callee.name == "raise_exception") return mistake(arguments.get(0, "message").str());
    if (callee.name == "strftime_now") return made(strftime_now(arguments));
    if (callee.name == "range") return made(range(arguments));
    return mistake("the function '" + callee.name + "' is not known", ErrorCode::unsupported);
  }

  Result<Value> make_namespace(const Arguments& arguments) {
    auto fields = named_fields(arguments);
    if (!fields) return placed(fields.error());
    spaces_.push_back(std::make_shared<Namespace>(Namespace{std::move(*fields)}));
    return Value(spaces_.back());
  }
  Result<Value> make_dict(const Arguments& arguments) {
    auto fields = named_fields(arguments);
    if (!fields) return placed(fields.error());
    return made(Value(std::move(*fields)));
  }

  Result<Value> call_macro(const Macro& macro, const Arguments& arguments) {
    const Node& node = *macro.node;
    if (arguments.values.size() > node.names.size())
      return mistake("too many arguments for the macro '" + node.name + "'");
    for (const auto& [name, value] : arguments.keywords) {
      if (std::find(node.names.begin(), node.names.end(), name) != node.names.end()) continue;
      return mistake("the macro '" + node.name + "' has no argument '" + name + "'");
    }
    // The scopes it was made in, not those it is called from.
    const auto seen = static_cast<std::ptrdiff_t>(std::min(macro.scopes, scopes_.size()));
    std::vector<Scope> hidden(std::make_move_iterator(scopes_.begin() + seen), std::make_move_iterator(scopes_.end()));
    scopes_.erase(scopes_.begin() + seen, scopes_.end());
    auto text = macro_text(node, arguments);
    scopes_.insert(scopes_.end(), std::make_move_iterator(hidden.begin()), std::make_move_iterator(hidden.end()));
    if (!text) return std::unexpected(text.error());
    return Value(std::move(*text));
  }

  Result<std::string> macro_text(const Node& node, const Arguments& arguments) {
    Scoped scoped(scopes_);
    for (size_t i = 0; i < node.names.size(); ++i) {
      Value value = arguments.get(i, node.names[i]);
      const auto given = std::find_if(node.keywords.begin(), node.keywords.end(),
                                      [&](const auto& entry) { return entry.first == node.names[i]; });
      if (value.undefined() && given != node.keywords.end()) {
        TRY(value, evaluate(*given->second));
      }
      set(node.names[i], std::move(value));
    }
    return captured(*node.children[0]);
  }

  Jump jump_ = Jump::none;
  int recursion_ = 0;
};

}  // namespace

Result<std::string> run_template(const Node& root, Dict globals) { return Evaluator(std::move(globals)).run(root); }

}  // namespace calliope::model::jinja
