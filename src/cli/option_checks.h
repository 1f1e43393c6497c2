#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace calliope::cli {

/// What an option's text must be. Each refuses with a sentence for people, and leaves the help text alone.

/// A whole number in [low, high].
CLI::Validator whole_number(int64_t low, int64_t high);
/// A finite number in [low, high].
CLI::Validator number(double low, double high);
/// A file that is there, and no folder.
CLI::Validator existing_file();
/// One of these words.
CLI::Validator one_of(std::vector<std::string> words);
/// Anything but an empty text.
CLI::Validator not_empty();

/// Adds --kv-type: what kv_type_by_name() knows, and "auto".
void add_kv_type_option(CLI::App& command, std::string& type);

}  // namespace calliope::cli
