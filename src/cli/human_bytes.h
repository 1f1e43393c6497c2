#pragma once

#include <string>

namespace calliope::cli {

/// "1.5 MB"
std::string human_bytes(double bytes);

}  // namespace calliope::cli
