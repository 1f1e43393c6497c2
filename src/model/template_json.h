#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/template_value.h"

namespace calliope::model::jinja {

/// A JSON document as a template sees it: objects become dicts in their order. Every string in it, keys too, goes through
/// `each` when there is one. invalid_argument when it is no JSON, or deeper than 32 levels.
Result<Value> from_json(std::string_view json, const std::function<std::string(std::string_view)>& each = {});

}  // namespace calliope::model::jinja
