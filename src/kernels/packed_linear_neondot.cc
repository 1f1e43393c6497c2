#include "kernels/packed_neon.h"

#include "kernels/packed_internal.h"

namespace calliope::kernels::detail {

#if defined(__ARM_FEATURE_DOTPROD)
namespace {

struct DotProduct {
  static int32x4_t add(int32x4_t sums, int8x16_t weights, int8x16_t inputs) { return vdotq_s32(sums, weights, inputs); }
};

}  // namespace

const PackedKernels kPackedNeonDot = {quantize, multiply<DotProduct>};
#else
const PackedKernels kPackedNeonDot = kPackedPlain;
#endif

}  // namespace calliope::kernels::detail
