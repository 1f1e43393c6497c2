#pragma once

#include <string_view>

namespace calliope::kernels {

/// Instruction sets a kernel may be compiled for, weakest first.
enum class Isa { plain, avx2 };

/// The best instruction set of this processor that kernels were compiled for; CALLIOPE_ISA=plain|avx2 lowers it.
Isa active_isa();

/// For tests: forces an instruction set (not above what the processor has). Not thread-safe.
void set_isa(Isa isa);

/// "plain", "avx2"
std::string_view name_of(Isa isa);

}  // namespace calliope::kernels
