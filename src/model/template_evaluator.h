#pragma once

#include <string>

#include "base/result.h"
#include "model/template_parser.h"

namespace calliope::model::jinja {

/// Runs a parsed template with these global names. Errors: what raise_exception says, an operation on the wrong type,
/// an unknown filter or function, or too many steps or too much output.
Result<std::string> run_template(const Node& root, Dict globals);

}  // namespace calliope::model::jinja
