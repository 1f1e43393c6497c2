#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/template_builtins.h"

namespace calliope::model::jinja {

/// What a running template has: names, what it has written, the line it is at, and how much it may still do.
class TemplateState {
 public:
  static constexpr int64_t kMaxSteps = 4'000'000;  ///< a step is a node, sixteen characters or an element
  static constexpr int kMaxValueDepth = 64;

  explicit TemplateState(Dict globals) {
    scopes_.emplace_back();
    for (auto& [name, value] : globals) scopes_.back().insert_or_assign(name, std::move(value));
  }
  // A namespace may hold itself.
  ~TemplateState() {
    for (const auto& space : spaces_) space->fields.clear();
  }
  TemplateState(const TemplateState&) = delete;

 protected:
  using Scope = std::map<std::string, Value, std::less<>>;

  std::unexpected<Error> mistake(const std::string& what, ErrorCode code = ErrorCode::invalid_argument) const {
    return fail(code, "chat template, line " + std::to_string(line_) + ": " + what, "chat_template");
  }
  // The error of a builtin, with its place.
  std::unexpected<Error> placed(const Error& error) const { return mistake(error.message, error.code); }

  Result<void> count(int64_t steps) {
    steps_ += std::min(steps, kMaxSteps);
    if (steps_ > kMaxSteps) return mistake("it takes too many steps");
    return {};
  }
  // What a builtin returned, counted and checked.
  Result<Value> made(Result<Value> result) {
    if (!result) return placed(result.error());
    TRY_VOID(count(result->weight()));
    if (result->depth() > kMaxValueDepth) return mistake("lists inside lists too deeply");
    if (result->text() && result->text()->size() > kMaxText) return mistake("a string is too long");
    return result;
  }
  Result<void> write(std::string_view text) {
    output_ += text;
    if (output_.size() > kMaxText) return mistake("it writes too much");
    return count(static_cast<int64_t>(text.size() / 16));
  }

  // Scopes above those there were go when this goes.
  struct Scoped {
    std::vector<Scope>& scopes;
    explicit Scoped(std::vector<Scope>& s) : scopes(s) { scopes.emplace_back(); }
    ~Scoped() { scopes.pop_back(); }
  };

  Value lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    }
    return {};
  }
  void set(const std::string& name, Value value) { scopes_.back().insert_or_assign(name, std::move(value)); }
  static void put(Dict& dict, const std::string& name, Value value) {
    const auto found = std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == name; });
    if (found != dict.end())
      found->second = std::move(value);
    else
      dict.emplace_back(name, std::move(value));
  }

  std::vector<Scope> scopes_;
  std::vector<std::shared_ptr<Namespace>> spaces_;
  std::string output_;
  int64_t steps_ = 0;
  int line_ = 1;
};

}  // namespace calliope::model::jinja
