#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::eval {

/// A list of strings as Python writes it, ['a', "b"], or as JSON does. Numbers in it are taken as they are written.
Result<std::vector<std::string>> python_strings(std::string_view text);

}  // namespace calliope::eval
