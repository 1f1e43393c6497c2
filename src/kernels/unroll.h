#pragma once

// Before loops of constant length over registers: GCC keeps an array of vectors in registers only when every loop over
// it is unrolled.
#if defined(__clang__)
#define CALLIOPE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CALLIOPE_UNROLL _Pragma("GCC unroll 16")
#endif

// For the parts of a kernel that share registers: a call between them would put every vector into memory.
#define CALLIOPE_INLINE [[gnu::always_inline]] inline
