#include "cli/commands.h"

namespace calliope::cli {

int run_trace(const TraceOptions&) { return complain("trace", {ErrorCode::unsupported, "not built yet"}); }

}  // namespace calliope::cli
