#include "kernels/paged_attention_avx512.h"

#include "kernels/paged_attention_internal.h"

namespace calliope::kernels::detail {
#if defined(__AVX512BF16__)
namespace {

struct Avx512Bf16Ops : Avx512Ops {
  static constexpr bool kHasDot = true;
  using Pairs = __m512bh;
  static Pairs load_pairs(const std::byte* from, int64_t i, Mask own) {
    return (__m512bh)_mm512_maskz_loadu_epi32(own, reinterpret_cast<const uint32_t*>(from) + i);
  }
  static Pairs set_pair(uint32_t pair) { return (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(pair)); }
  static Vector dot(Vector sum, Pairs a, Pairs b) { return _mm512_dpbf16_ps(sum, a, b); }
  // 32 floats to 16 pairs.
  static void round(const float* from, uint32_t* to) {
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from)));
  }
};

}  // namespace
#endif

void paged_queries_avx512bf16(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
#if defined(__AVX512BF16__)
  if (call.layout.dtype == tensor::DType::bf16) return attend_all<Avx512Bf16Ops, tensor::DType::bf16>(call, kv, begin, end);
#endif
  paged_queries_avx512(call, kv, begin, end);
}

}  // namespace calliope::kernels::detail
