#include "engine/grammar.h"

#include <boost/json.hpp>

#include "engine/grammar_builder.h"
#include "engine/tool_calls.h"

namespace calliope::engine {
namespace {

namespace json = boost::json;

constexpr size_t kMostSchemaBytes = 256u << 10;

Result<json::value> parse_schema(std::string_view text) {
  if (text.size() > kMostSchemaBytes) return fail(ErrorCode::too_large, "the JSON Schema is too large: at most 256 KiB");
  json::error_code error;
  json::value document = json::parse(text, error);
  if (error) return fail(ErrorCode::invalid_argument, "the JSON Schema is no JSON: " + error.message());
  return document;
}

std::unexpected<Error> at_field(Error error, std::string field) {
  error.message = "Invalid value for '" + field + "': " + error.message + ".";
  error.field = std::move(field);
  return std::unexpected(std::move(error));
}

// The arguments of a tool: an object, whether or not the schema says so.
Result<int> arguments_node(GrammarBuilder& builder, const assistant::Tool& tool, json::value& document) {
  TRY(document, parse_schema(tool.parameters.empty() ? R"({"type":"object","properties":{}})" : tool.parameters));
  if (!document.is_object()) return fail(ErrorCode::invalid_argument, "parameters are an object, a JSON Schema");
  json::object& object = document.get_object();
  if (object.empty()) object["properties"].emplace_object();
  if (!object.contains("$ref") && !object.contains("anyOf") && !object.contains("oneOf") && !object.contains("allOf")) {
    auto& type = object["type"];
    if (type.is_null()) type = "object";
    if (type != json::value("object")) return fail(ErrorCode::invalid_argument, "the type of parameters must be 'object'");
  }
  return builder.add_schema(document);
}

// One call of each tool, or of the one named.
Result<int> calls_node(GrammarBuilder& builder, const assistant::Request& request, std::vector<json::value>& documents) {
  std::vector<int> calls;
  for (size_t i = 0; i < request.tools.size(); ++i) {
    const auto& tool = request.tools[i];
    if (request.tool_choice.kind == assistant::ToolChoice::Kind::named && tool.name != request.tool_choice.name) continue;
    auto arguments = arguments_node(builder, tool, documents.emplace_back());
    if (!arguments) return at_field(arguments.error(), "tools[" + std::to_string(i) + "].function.parameters");
    const std::string begin = std::string(ToolCallReader::kOpen) + "\n{\"name\": " + json::serialize(json::string(tool.name)) + ", \"arguments\": ";
    calls.push_back(builder.add_sequence({builder.add_literals({begin}), *arguments, builder.add_literals({"}\n" + std::string(ToolCallReader::kClose)})}));
  }
  if (calls.empty()) {
    return at_field({ErrorCode::invalid_argument, "a tool must be called, but there is none" +
                                                      (request.tool_choice.name.empty() ? std::string() : " named '" + request.tool_choice.name + "'")},
                    "tool_choice");
  }
  const int one = builder.add_choice(std::move(calls));
  if (!request.parallel_tool_calls) return one;
  const int some = builder.add_choice({});
  builder.set_choice(some, {one, builder.add_sequence({one, builder.add_literals({"\n"}), some})});
  return some;
}

}  // namespace

Result<std::shared_ptr<const Grammar>> Grammar::of_schema(std::string_view schema) {
  TRY(const json::value document, parse_schema(schema));
  GrammarBuilder builder;
  TRY(const int root, builder.add_schema(document));
  return builder.finish(root);
}

Result<std::shared_ptr<const Grammar>> Grammar::of_request(const assistant::Request& request) {
  using Kind = assistant::ToolChoice::Kind;
  const Kind kind = request.tool_choice.kind;
  const bool forced = kind == Kind::required || kind == Kind::named;
  if (!forced && request.json_schema.empty()) return nullptr;
  GrammarBuilder builder;
  std::vector<json::value> documents;
  documents.reserve(request.tools.size() + 1);
  std::vector<int> alternatives;
  if (forced || (kind == Kind::automatic && !request.tools.empty())) {
    TRY(const int calls, calls_node(builder, request, documents));
    alternatives.push_back(calls);
  }
  if (!forced) {
    auto document = parse_schema(request.json_schema);
    if (!document) return at_field(document.error(), "response_format");
    auto answer = builder.add_schema(documents.emplace_back(*std::move(document)));
    if (!answer) return at_field(answer.error(), "response_format");
    alternatives.push_back(*answer);
  }
  auto grammar = builder.finish(builder.add_choice(std::move(alternatives)));
  if (!grammar) return at_field(grammar.error(), forced ? "tools" : "response_format");
  return grammar;
}

}  // namespace calliope::engine
