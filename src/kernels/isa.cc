#include "kernels/isa.h"

#include <algorithm>
#include <cstdlib>

namespace calliope::kernels {
namespace {

Isa best_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return Isa::avx2;
#endif
  return Isa::plain;
}

Isa initial_isa() {
  const char* forced = std::getenv("CALLIOPE_ISA");
  if (forced && std::string_view(forced) == "plain") return Isa::plain;
  return best_isa();
}

Isa current = initial_isa();

}  // namespace

Isa active_isa() { return current; }

void set_isa(Isa isa) { current = std::min(isa, best_isa()); }

std::string_view name_of(Isa isa) { return isa == Isa::avx2 ? "avx2" : "plain"; }

}  // namespace calliope::kernels
