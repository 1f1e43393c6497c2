#pragma once

// Only for files of AVX-512.
#if defined(__AVX512F__)
#include "kernels/paged_attention_tile.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

struct Avx512Ops {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr int kLanes = 16, kQueries = 8;
  static constexpr bool kHasDot = false;
  static constexpr int wide(int queries, DType) { return queries <= 4 ? 4 : 2; }
  static constexpr int wide_blend(int queries) { return queries <= 4 ? 4 : 2; }

  static Mask all() { return 0xffff; }
  static Mask first(int64_t count) { return first_lanes_avx512(count); }
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector set(float x) { return _mm512_set1_ps(x); }
  static Vector load(const float* p) { return _mm512_load_ps(p); }
  static Vector load(const float* p, Mask own) { return _mm512_maskz_loadu_ps(own, p); }
  static void store(float* p, Vector v) { _mm512_store_ps(p, v); }
  static void store(float* p, Vector v, Mask own) { _mm512_mask_storeu_ps(p, own, v); }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static Vector max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector exp(Vector x) { return exp_avx512(x); }
  static Vector keep(Mask own, Vector v) { return _mm512_maskz_mov_ps(own, v); }
  static Vector prefer(Mask own, Vector v, Vector other) { return _mm512_mask_mov_ps(other, own, v); }
  static float sum(Vector v) { return sum_avx512(v); }
  static float largest(Vector v) { return _mm512_reduce_max_ps(v); }
  static float first_lane(Vector v) { return _mm512_cvtss_f32(v); }

  // Elements from i on; q8_0 without its scale.
  template <DType kType>
  CALLIOPE_INLINE static Vector load_as(const std::byte* from, int64_t i, Mask own) {
    if constexpr (kType == DType::f32) return _mm512_maskz_loadu_ps(own, reinterpret_cast<const float*>(from) + i);
    if constexpr (kType == DType::q8_0) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(own, from + i)));
    const __m256i bits = _mm256_maskz_loadu_epi16(own, reinterpret_cast<const uint16_t*>(from) + i);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  // Of pairs of bf16 from pair i on, the first or the second of each.
  template <int kHalf>
  CALLIOPE_INLINE static Vector half_of(const std::byte* from, int64_t i, Mask own) {
    const __m512i pairs = _mm512_maskz_loadu_epi32(own, reinterpret_cast<const uint32_t*>(from) + i);
    return _mm512_castsi512_ps(kHalf == 0 ? _mm512_slli_epi32(pairs, 16) : _mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
  }
};

}  // namespace
}  // namespace calliope::kernels::detail
#endif
