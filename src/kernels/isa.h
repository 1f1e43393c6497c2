#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace calliope::kernels {

/// Instruction sets a kernel may be compiled for. Of x86-64: avx2 comes with FMA and F16C; avx512 with F, BW, DQ, VL
/// and VNNI; avx512bf16 adds BF16. Of aarch64: neon is what every such processor has; neondot adds the dot product
/// (Armv8.2). Files named _avx2.cc, _avx512.cc, _avx512bf16.cc, _neon.cc and _neondot.cc are compiled for them
/// (cmake/rooms.cmake).
enum class Isa { plain, avx2, avx512, avx512bf16, neon, neondot };

/// The best instruction set of this processor, or the one that the environment names in CALLIOPE_ISA.
Isa active_isa();

/// What is wrong with CALLIOPE_ISA: a name that is not one, or one that this processor lacks. It is then left unheeded.
Result<void> check_isa_request();

/// For tests: forces an instruction set; one that this processor lacks gives the best that it has. Not thread-safe.
void set_isa(Isa isa);

/// The instruction sets that this processor has, weakest first.
std::span<const Isa> available_isas();

/// The best instruction set of this processor, whatever CALLIOPE_ISA says.
Isa best_isa();

/// "plain", "avx2", "avx512", "avx512bf16", "neon", "neondot"
std::string_view name_of(Isa isa);

/// The version of a kernel for the active instruction set.
template <class T>
const T& choose(const T& plain, const T& avx2, const T& avx512, const T& neon) {
  switch (active_isa()) {
    case Isa::avx2: return avx2;
    case Isa::avx512:
    case Isa::avx512bf16: return avx512;
    case Isa::neon:
    case Isa::neondot: return neon;
    default: return plain;
  }
}
template <class T>
const T& choose(const T& plain, const T& avx2, const T& avx512) {
  return choose(plain, avx2, avx512, plain);
}

}  // namespace calliope::kernels
