#include "kernels/conv_bf16_internal.h"

#if defined(__AVX512BF16__)
#include <cstring>

#include "kernels/conv_bf16_tile.h"
#include "kernels/vector_math_avx512.h"

namespace calliope::kernels::detail {
namespace {

struct Ops {
  static constexpr int kLanes = 16, kRows = 8;
  static constexpr int64_t kPanels = 3;
  using Sum = __m512;
  using Weights = __m512bh;
  static Sum load(const float* from) { return _mm512_loadu_ps(from); }
  static Weights weights(const uint32_t* from) { return (__m512bh)_mm512_loadu_si512(from); }
  static __m512bh pair(const uint16_t* from) {
    int32_t both;
    std::memcpy(&both, from, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
  }
  static Sum add(Sum sum, Weights weights, __m512bh pair) { return _mm512_dpbf16_ps(sum, weights, pair); }
  static void store(float* to, Sum sum, int64_t lanes) { _mm512_mask_storeu_ps(to, first_lanes_avx512(lanes), sum); }
};

}  // namespace

void conv_bf16_slice_avx512bf16(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice<Ops>(x, w, y, range);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void conv_bf16_slice_avx512bf16(const Bf16Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range) {
  conv_bf16_slice_avx512(x, w, y, range);
}
}  // namespace calliope::kernels::detail
#endif
