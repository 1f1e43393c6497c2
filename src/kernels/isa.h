#pragma once

#include <string_view>

namespace calliope::kernels {

/// Instruction sets a kernel may be compiled for, weakest first. avx2 comes with FMA and F16C; avx512 with F, BW, DQ, VL
/// and VNNI.
enum class Isa { plain, avx2, avx512 };

/// The best instruction set of this processor that kernels were compiled for; CALLIOPE_ISA=plain|avx2|avx512 lowers it.
Isa active_isa();

/// For tests: forces an instruction set (not above what the processor has). Not thread-safe.
void set_isa(Isa isa);

/// The best instruction set of this processor, whatever CALLIOPE_ISA says.
Isa best_isa();

/// "plain", "avx2", "avx512"
std::string_view name_of(Isa isa);

/// The version of a kernel for the active instruction set.
template <class T>
const T& choose(const T& plain, const T& avx2, const T& avx512) {
  const Isa isa = active_isa();
  return isa == Isa::avx512 ? avx512 : isa == Isa::avx2 ? avx2 : plain;
}

}  // namespace calliope::kernels
