#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/grammar.h"

namespace boost::json {
class value;
class object;
}  // namespace boost::json

namespace calliope::engine {

/// Puts nodes together. Only for this room's sources.
class GrammarBuilder {
 public:
  /// Adds what a JSON Schema allows. `document`, in which references are looked up, is read until this returns.
  Result<int> add_schema(const boost::json::value& document);
  int add_literals(std::vector<std::string> texts);
  int add_sequence(std::vector<int> children) { return add({.kind = Grammar::Kind::sequence, .children = std::move(children)}); }
  int add_choice(std::vector<int> children) { return add({.kind = Grammar::Kind::choice, .children = std::move(children)}); }
  /// Makes a node that was added a choice of these.
  void set_choice(int node, std::vector<int> children) { grammar_.nodes[static_cast<size_t>(node)].children = std::move(children); }

  /// The grammar with this root; invalid_argument when nothing finite fits it.
  Result<std::shared_ptr<const Grammar>> finish(int root);

 private:
  using Object = boost::json::object;
  int add(Grammar::Node node);
  int any();
  Result<int> schema(const boost::json::value& value, const std::string& path);
  Result<int> reference(std::string_view target, const std::string& path);
  Result<int> alternatives(const boost::json::value& list, const std::string& path);
  Result<int> values(const Object& object, const std::string& path);
  Result<int> of_type(std::string_view type, const Object& object, const std::string& path);
  Result<int> object_node(const Object& object, const std::string& path);
  Result<int> array_node(const Object& object, const std::string& path);

  Grammar grammar_;
  const boost::json::value* document_ = nullptr;
  std::map<std::string, int, std::less<>> references_;
  int any_ = -1;
  int depth_ = 0;
};

}  // namespace calliope::engine
