#include "model/template_evaluator.h"

#include <ctime>
#include <functional>

#include "model/template_builtins.h"

namespace calliope::model::jinja {
namespace {

constexpr int64_t kMaxSteps = 20'000'000;
constexpr size_t kMaxOutput = size_t{64} << 20;
constexpr int kMaxCalls = 64;

class Evaluator {
 public:
  explicit Evaluator(Dict globals) { scopes_.push_back(std::move(globals)); }

  Result<std::string> run(const Node& root) {
    TRY_VOID(statement(root));
    return std::move(output_);
  }

 private:
  std::unexpected<Error> mistake(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "chat template: " + what, "chat_template");
  }
  Result<void> count() {
    if (++steps_ > kMaxSteps || output_.size() > kMaxOutput) return mistake("it runs too long");
    return {};
  }

  Value lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      for (const auto& [key, value] : *scope) {
        if (key == name) return value;
      }
    }
    return {};
  }
  void set(const std::string& name, Value value) { put(scopes_.back(), name, std::move(value)); }
  static void put(Dict& dict, const std::string& name, Value value) {
    for (auto& [key, held] : dict) {
      if (key == name) {
        held = std::move(value);
        return;
      }
    }
    dict.emplace_back(name, std::move(value));
  }

  Result<void> statement(const Node& node) {
    TRY_VOID(count());
    switch (node.kind) {
      case Kind::text: output_ += node.name; return {};
      case Kind::block:
        for (const NodePtr& child : node.children) TRY_VOID(statement(*child));
        return {};
      case Kind::output: {
        TRY(const Value value, evaluate(*node.children[0]));
        output_ += value.str();
        return {};
      }
      case Kind::branch: return branch(node);
      case Kind::loop: return loop(node);
      case Kind::assign: return assign(node);
      case Kind::macro: macros_.emplace_back(node.name, &node); return {};
      default: return mistake("not a statement");
    }
  }

  Result<void> branch(const Node& node) {
    size_t i = 0;
    for (; i + 1 < node.children.size(); i += 2) {
      TRY(const Value condition, evaluate(*node.children[i]));
      if (condition.truth()) return statement(*node.children[i + 1]);
    }
    return i < node.children.size() ? statement(*node.children[i]) : Result<void>();
  }

  Result<void> bind(const std::vector<std::string>& names, const Value& item) {
    if (names.size() == 1) return set(names[0], item), Result<void>();
    if (!item.list() || item.list()->size() != names.size()) return mistake("a loop's item cannot be taken apart");
    for (size_t i = 0; i < names.size(); ++i) set(names[i], (*item.list())[i]);
    return {};
  }

  Result<void> loop(const Node& node) {
    TRY(const Value iterable, evaluate(*node.children[0]));
    TRY(List items, iterate(iterable));
    scopes_.emplace_back();
    const auto finish = [&](Result<void> result) {
      scopes_.pop_back();
      return result;
    };
    if (node.children[2]) {
      List kept;
      for (const Value& item : items) {
        if (auto bound = bind(node.names, item); !bound) return finish(std::move(bound));
        auto passes = evaluate(*node.children[2]);
        if (!passes) return finish(std::unexpected(passes.error()));
        if (passes->truth()) kept.push_back(item);
      }
      items = std::move(kept);
    }
    for (size_t i = 0; i < items.size(); ++i) {
      scopes_.back().clear();
      if (auto bound = bind(node.names, items[i]); !bound) return finish(std::move(bound));
      const auto at = static_cast<int64_t>(i), size = static_cast<int64_t>(items.size());
      set("loop", Dict{{"index", at + 1}, {"index0", at}, {"first", i == 0}, {"last", at + 1 == size}, {"length", size},
                       {"revindex", size - at}, {"revindex0", size - at - 1}, {"previtem", i > 0 ? items[i - 1] : Value()},
                       {"nextitem", i + 1 < items.size() ? items[i + 1] : Value()}});
      if (auto done = statement(*node.children[1]); !done) return finish(std::move(done));
    }
    if (items.empty() && node.children[3]) return finish(statement(*node.children[3]));
    return finish({});
  }

  Result<void> assign(const Node& node) {
    Value value;
    if (node.children[0]->kind == Kind::block) {
      std::string outer = std::move(output_);
      output_.clear();
      auto done = statement(*node.children[0]);
      value = std::exchange(output_, std::move(outer));
      TRY_VOID(done);
    } else {
      TRY(value, evaluate(*node.children[0]));
    }
    if (node.names.empty()) return set(node.name, std::move(value)), Result<void>();
    const Value space = lookup(node.name);
    if (!space.dict()) return mistake("'" + node.name + "' is no namespace");
    put(*space.dict(), node.names[0], std::move(value));
    return {};
  }

  Result<Value> evaluate(const Node& node) {
    TRY_VOID(count());
    switch (node.kind) {
      case Kind::literal: return node.value;
      case Kind::name: return lookup(node.name);
      case Kind::list: {
        List items;
        for (const NodePtr& child : node.children) {
          TRY(Value item, evaluate(*child));
          items.push_back(std::move(item));
        }
        return Value(std::move(items));
      }
      case Kind::dict: {
        Dict dict;
        for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
          TRY(const Value key, evaluate(*node.children[i]));
          TRY(Value value, evaluate(*node.children[i + 1]));
          put(dict, key.str(), std::move(value));
        }
        return Value(std::move(dict));
      }
      case Kind::attribute: {
        TRY(const Value value, evaluate(*node.children[0]));
        if (value.undefined()) return mistake("'" + node.name + "' of something undefined");
        const Value* found = value.get(node.name);
        return found ? *found : Value();
      }
      case Kind::index: {
        TRY(const Value value, evaluate(*node.children[0]));
        TRY(const Value index, evaluate(*node.children[1]));
        return at_index(value, index);
      }
      case Kind::slice: {
        Value parts[4];
        for (size_t i = 0; i < 4; ++i) {
          if (!node.children[i]) continue;
          TRY(parts[i], evaluate(*node.children[i]));
        }
        return slice_of(parts[0], parts[1], parts[2], parts[3]);
      }
      case Kind::unary: {
        TRY(const Value value, evaluate(*node.children[0]));
        if (node.name == "not") return Value(!value.truth());
        if (!value.number()) return mistake("a sign needs a number");
        return node.name == "-" ? apply_binary("-", Value(0), value) : Result<Value>(value);
      }
      case Kind::binary: return binary(node);
      case Kind::ternary: {
        TRY(const Value condition, evaluate(*node.children[0]));
        return evaluate(*node.children[condition.truth() ? 1 : 2]);
      }
      case Kind::filter: {
        TRY(const Value value, evaluate(*node.children[0]));
        TRY(const Arguments arguments, arguments_of(node));
        return apply_filter(node.name, value, arguments);
      }
      case Kind::test: {
        TRY(const Value value, evaluate(*node.children[0]));
        TRY(const Arguments arguments, arguments_of(node));
        TRY(const bool holds, apply_test(node.name, value, arguments));
        return Value(holds != node.negated);
      }
      case Kind::call: return call(node);
      default: return mistake("not an expression");
    }
  }

  Result<Value> binary(const Node& node) {
    TRY(const Value left, evaluate(*node.children[0]));
    if (node.name == "and" && !left.truth()) return left;
    if (node.name == "or" && left.truth()) return left;
    TRY(const Value right, evaluate(*node.children[1]));
    return node.name == "and" || node.name == "or" ? Result<Value>(right) : apply_binary(node.name, left, right);
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
    return arguments;
  }

  Result<Value> call(const Node& node) {
    TRY(const Arguments arguments, arguments_of(node));
    const Node& callee = *node.children[0];
    if (callee.kind == Kind::attribute) {
      TRY(const Value value, evaluate(*callee.children[0]));
      if (value.undefined()) return mistake("'" + callee.name + "' of something undefined");
      return call_method(value, callee.name, arguments);
    }
    if (callee.kind != Kind::name) return mistake("only names can be called");
    for (auto found = macros_.rbegin(); found != macros_.rend(); ++found) {
      if (found->first == callee.name) return call_macro(*found->second, arguments);
    }
    if (callee.name == "namespace" || callee.name == "dict") return Value(arguments.keywords);
    if (callee.name == "raise_exception") return mistake(arguments.get(0, "message").str());
    if (callee.name == "strftime_now") return strftime_now(arguments.get(0, "format").str());
    if (callee.name == "range") return range(arguments);
    return mistake("unknown function '" + callee.name + "'");
  }

  Result<Value> call_macro(const Node& macro, const Arguments& arguments) {
    if (++calls_ > kMaxCalls) return mistake("macros call each other too deeply");
    Dict scope;
    for (size_t i = 0; i < macro.names.size(); ++i) {
      Value value = arguments.get(i, macro.names[i]);
      for (const auto& [name, otherwise] : macro.keywords) {
        if (name != macro.names[i] || !value.undefined()) continue;
        TRY(value, evaluate(*otherwise));
      }
      scope.emplace_back(macro.names[i], std::move(value));
    }
    scopes_.push_back(std::move(scope));
    std::string outer = std::move(output_);
    output_.clear();
    auto done = statement(*macro.children[0]);
    std::string text = std::exchange(output_, std::move(outer));
    scopes_.pop_back();
    --calls_;
    TRY_VOID(done);
    return Value(std::move(text));
  }

  Result<Value> range(const Arguments& arguments) const {
    int64_t begin = 0, end = 0, step = 1;
    const auto number = [&](size_t i) { return static_cast<int64_t>(arguments.get(i, "").to_double()); };
    if (arguments.values.size() == 1) end = number(0);
    else begin = number(0), end = number(1);
    if (arguments.values.size() > 2) step = number(2);
    if (step == 0 || (end - begin) / step > 100'000) return mistake("a range is too long");
    List items;
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) items.emplace_back(i);
    return Value(std::move(items));
  }

  static Result<Value> strftime_now(const std::string& format) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char buffer[256] = {};
    std::strftime(buffer, sizeof buffer, format.c_str(), &parts);
    return Value(std::string(buffer));
  }

  std::vector<Dict> scopes_;
  std::vector<std::pair<std::string, const Node*>> macros_;
  std::string output_;
  int64_t steps_ = 0;
  int calls_ = 0;
};

}  // namespace

Result<std::string> run_template(const Node& root, Dict globals) { return Evaluator(std::move(globals)).run(root); }

}  // namespace calliope::model::jinja
