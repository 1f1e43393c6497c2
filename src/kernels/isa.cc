#include "kernels/isa.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace calliope::kernels {
namespace {

constexpr std::array kAll = {Isa::plain, Isa::avx2, Isa::avx512, Isa::avx512bf16, Isa::neon, Isa::neondot};

std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::plain};
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return found;
  found.push_back(Isa::avx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512vnni")) {
    return found;
  }
  found.push_back(Isa::avx512);
  if (__builtin_cpu_supports("avx512bf16")) found.push_back(Isa::avx512bf16);
#elif defined(__aarch64__)
  found.push_back(Isa::neon);
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) found.push_back(Isa::neondot);
#endif
  return found;
}

const std::vector<Isa>& available() {
  static const std::vector<Isa> found = detect();
  return found;
}

bool has(Isa isa) { return std::ranges::find(available(), isa) != available().end(); }

std::optional<Isa> named(std::string_view name) {
  const auto at = std::ranges::find(kAll, name, name_of);
  return at == kAll.end() ? std::nullopt : std::optional(*at);
}

std::string_view requested() {
  const char* text = std::getenv("CALLIOPE_ISA");
  return text ? text : "";
}

Isa current = [] {
  const auto isa = named(requested());
  return isa && has(*isa) ? *isa : best_isa();
}();

}  // namespace

Isa best_isa() { return available().back(); }

Isa active_isa() { return current; }

void set_isa(Isa isa) { current = has(isa) ? isa : best_isa(); }

std::span<const Isa> available_isas() { return available(); }

Result<void> check_isa_request() {
  if (requested().empty()) return {};
  std::string names;
  for (const Isa isa : available()) names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  const auto isa = named(requested());
  if (isa && has(*isa)) return {};
  const std::string what = "CALLIOPE_ISA=" + std::string(requested());
  return fail(ErrorCode::invalid_argument,
              what + (isa ? " asks for instructions that this processor lacks" : " names no instruction set") +
                  "; here it may be " + names,
              "CALLIOPE_ISA");
}

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512bf16: return "avx512bf16";
    case Isa::neon: return "neon";
    case Isa::neondot: return "neondot";
    default: return "plain";
  }
}

}  // namespace calliope::kernels
