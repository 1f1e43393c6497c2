#pragma once

namespace calliope::cli {

/// Reads the arguments and runs the command they name. Returns the exit status: 2 for arguments that make no sense.
int run_command_line(int argc, const char* const* argv);

}  // namespace calliope::cli
