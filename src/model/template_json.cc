#include "model/template_json.h"

#include <boost/json.hpp>

namespace calliope::model::jinja {
namespace {

namespace json = boost::json;
using Each = std::function<std::string(std::string_view)>;

std::string text_of(const json::string& text, const Each& each) {
  const std::string_view view(text.data(), text.size());
  return each ? each(view) : std::string(view);
}

Value value_of(const json::value& value, const Each& each) {
  switch (value.kind()) {
    case json::kind::null: return None();
    case json::kind::bool_: return value.get_bool();
    case json::kind::int64: return value.get_int64();
    case json::kind::uint64: return static_cast<double>(value.get_uint64());
    case json::kind::double_: return value.get_double();
    case json::kind::string: return text_of(value.get_string(), each);
    case json::kind::array: {
      List list;
      for (const auto& item : value.get_array()) list.push_back(value_of(item, each));
      return list;
    }
    case json::kind::object: break;
  }
  Dict dict;
  for (const auto& [key, item] : value.get_object()) {
    const std::string_view name(key.data(), key.size());
    dict.emplace_back(each ? each(name) : std::string(name), value_of(item, each));
  }
  return dict;
}

}  // namespace

Result<Value> from_json(std::string_view text, const Each& each) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 32;
  const json::value value = json::parse(text, error, {}, options);
  if (error) return fail(ErrorCode::invalid_argument, "no JSON: " + error.message());
  return value_of(value, each);
}

}  // namespace calliope::model::jinja
