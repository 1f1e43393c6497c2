#include "kernels/packed_neon.h"

#include "kernels/packed_internal.h"

namespace calliope::kernels::detail {

#if defined(__aarch64__)
namespace {

// Products of bytes fit 16 bits, their pairs only 32.
struct Widening {
  static int32x4_t add(int32x4_t sums, int8x16_t weights, int8x16_t inputs) {
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(weights), vget_low_s8(inputs)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(weights, inputs));
    return vaddq_s32(sums, vpaddq_s32(low, high));
  }
};

}  // namespace

const PackedKernels kPackedNeon = {quantize, multiply<Widening>};
#else
const PackedKernels kPackedNeon = kPackedPlain;
#endif

}  // namespace calliope::kernels::detail
