#include "kernels/snake_beta_internal.h"

#if defined(__aarch64__)
#include <algorithm>

#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

// Above this, an angle in f32 is reduced by the C library instead.
constexpr float kLargestAngle = 100000.0f;

// sin(x)^2 for |x| <= kLargestAngle, as in snake_beta_avx2.cc.
float32x4_t sine_squared(float32x4_t x) {
  const float32x4_t turns = vrndnq_f32(vmulq_n_f32(x, 0.318309886183790672f));
  float32x4_t r = vfmsq_f32(x, turns, vdupq_n_f32(3.14159274101257324f));
  r = vfmaq_f32(r, turns, vdupq_n_f32(8.74227765734758577e-8f));
  const float32x4_t square = vmulq_f32(r, r);
  float32x4_t p = vdupq_n_f32(2.6083159809786593541503e-06f);
  p = vfmaq_f32(vdupq_n_f32(-0.0001981069071916863322258f), p, square);
  p = vfmaq_f32(vdupq_n_f32(0.00833307858556509017944336f), p, square);
  p = vfmaq_f32(vdupq_n_f32(-0.166666597127914428710938f), p, square);
  const float32x4_t sine = vfmaq_f32(r, vmulq_f32(p, square), r);
  return vmulq_f32(sine, sine);
}

// A NaN takes the slow way as well.
bool too_large(float32x4_t angle) { return vminvq_u32(vcleq_f32(vabsq_f32(angle), vdupq_n_f32(kLargestAngle))) == 0; }

}  // namespace

void snake_row_neon(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  for (int64_t c = 0; c < channels; c += 4) {
    const int64_t count = std::min<int64_t>(4, channels - c);
    const float32x4_t value = load_first_neon(x + c, count);
    const float32x4_t angle = vmulq_f32(value, load_first_neon(rate + c, count));
    if (too_large(angle)) {
      snake_row_plain(x + c, rate + c, scale + c, count, y + c);
    } else {
      store_first_neon(y + c, vfmaq_f32(value, load_first_neon(scale + c, count), sine_squared(angle)), count);
    }
  }
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void snake_row_neon(const float* x, const float* rate, const float* scale, int64_t channels, float* y) {
  snake_row_plain(x, rate, scale, channels, y);
}
}  // namespace calliope::kernels::detail
#endif
