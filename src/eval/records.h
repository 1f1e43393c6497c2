#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/template_value.h"

namespace calliope::eval {

/// The records of a data file as templates see them: .json (a list), .jsonl, .csv or .tsv, whose columns of whole numbers or
/// of numbers become numbers, as pandas reads them. Errors name the file.
Result<std::vector<model::jinja::Value>> read_records(const std::string& path);

}  // namespace calliope::eval
