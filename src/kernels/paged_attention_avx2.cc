#include "kernels/paged_attention_internal.h"

#if defined(__AVX2__)
#include <cstring>

#include "kernels/paged_attention_tile.h"
#include "kernels/vector_math_avx2.h"

namespace calliope::kernels::detail {
namespace {

struct Avx2Ops {
  using Vector = __m256;
  struct Mask {
    int64_t count;  // lanes, eight or more for all
    __m256i lanes() const { return first_lanes(count); }
  };
  static constexpr int kLanes = 8, kQueries = 4;
  static constexpr bool kHasDot = false;
  static constexpr int wide(int queries, DType type) { return queries == 1 && type != DType::q8_0 ? 8 : queries <= 2 ? 4 : 2; }
  static constexpr int wide_blend(int) { return 2; }

  static Mask all() { return {8}; }
  static Mask first(int64_t count) { return {count}; }
  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector set(float x) { return _mm256_set1_ps(x); }
  static Vector load(const float* p) { return _mm256_load_ps(p); }
  static Vector load(const float* p, Mask own) { return own.count >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, own.lanes()); }
  static void store(float* p, Vector v) { _mm256_store_ps(p, v); }
  static void store(float* p, Vector v, Mask own) { own.count >= 8 ? _mm256_storeu_ps(p, v) : _mm256_maskstore_ps(p, own.lanes(), v); }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector sub(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector mul(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector exp(Vector x) { return exp_avx2(x); }
  static Vector keep(Mask own, Vector v) { return _mm256_and_ps(v, _mm256_castsi256_ps(own.lanes())); }
  static Vector prefer(Mask own, Vector v, Vector other) { return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(own.lanes())); }
  static float sum(Vector v) { return sum_avx2(v); }
  static float largest(Vector v) {
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, v);
    return *std::max_element(lanes, lanes + 8);
  }
  static float first_lane(Vector v) { return _mm256_cvtss_f32(v); }

  // `from` itself, or a copy of its first elements with zeros behind, when fewer than eight are own.
  struct Padded {
    alignas(32) std::byte bytes[32];
    const std::byte* begin;
    CALLIOPE_INLINE Padded(const std::byte* from, size_t size, Mask own) : begin(from) {
      if (own.count >= 8) return;
      std::memset(bytes, 0, sizeof bytes);
      std::memcpy(bytes, from, static_cast<size_t>(own.count) * size);
      begin = bytes;
    }
  };
  // Elements from i on; q8_0 without its scale.
  template <DType kType>
  CALLIOPE_INLINE static Vector load_as(const std::byte* from, int64_t i, Mask own) {
    constexpr size_t kSize = kType == DType::q8_0 ? 1 : tensor::size_of(kType);
    const Padded at(from + static_cast<size_t>(i) * kSize, kSize, own);
    if constexpr (kType == DType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(at.begin));
    if constexpr (kType == DType::q8_0) {
      return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at.begin))));
    }
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at.begin));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  // Of pairs of bf16 from pair i on, the first or the second of each.
  template <int kHalf>
  CALLIOPE_INLINE static Vector half_of(const std::byte* from, int64_t i, Mask own) {
    const Padded at(from + 4 * i, 4, own);
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at.begin));
    return _mm256_castsi256_ps(kHalf == 0 ? _mm256_slli_epi32(pairs, 16) : _mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
  }
};

}  // namespace

void paged_queries_avx2(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) { paged_queries<Avx2Ops>(call, kv, begin, end); }

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void paged_queries_avx2(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  paged_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
