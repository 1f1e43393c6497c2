#pragma once

#include <span>
#include <string>

#include "api/json_reader.h"
#include "base/result.h"

namespace calliope::api {

/// The model a request asks for: one of `models`, the first when it asks for none; any when there are none. not_found.
Result<std::string> served_model(const JsonReader& field, std::span<const std::string> models);

}  // namespace calliope::api
