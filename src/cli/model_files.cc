#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/commands.h"

namespace calliope::cli {

std::string default_model() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv("CALLIOPE_MODEL"); named && *named) return named;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  // build/<preset>/calliope, an installed bin/calliope, or the sources it was built from.
  for (fs::path at = program.parent_path(); !at.empty() && at != at.root_path(); at = at.parent_path()) {
    for (const char* place : {"models/calliope-nano", "share/calliope/calliope-nano"}) {
      if (fs::exists(at / place / "config.json", error)) return (at / place).string();
    }
  }
  return "models/calliope-nano";
}

int complain(const char* command, const Error& error) {
  std::fprintf(stderr, "calliope %s: %s\n", command, error.message.c_str());
  return 1;
}

std::optional<tensor::DType> kv_type_by_name(std::string_view name) {
  if (name == "f32") return tensor::DType::f32;
  if (name == "bf16") return tensor::DType::bf16;
  if (name == "q8") return tensor::DType::q8_0;
  return std::nullopt;
}

}  // namespace calliope::cli
