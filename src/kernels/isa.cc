#include "kernels/isa.h"

#include <algorithm>
#include <cstdlib>

namespace calliope::kernels {
namespace {

Isa initial_isa() {
  const char* text = std::getenv("CALLIOPE_ISA");
  const std::string_view forced = text ? text : "";
  for (const Isa isa : {Isa::plain, Isa::avx2}) {
    if (forced == name_of(isa)) return std::min(isa, best_isa());
  }
  return best_isa();
}

Isa current = initial_isa();

}  // namespace

Isa best_isa() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return Isa::plain;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vnni");
  return avx512 ? Isa::avx512 : Isa::avx2;
#else
  return Isa::plain;
#endif
}

Isa active_isa() { return current; }

void set_isa(Isa isa) { current = std::min(isa, best_isa()); }

std::string_view name_of(Isa isa) { return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "plain"; }

}  // namespace calliope::kernels
