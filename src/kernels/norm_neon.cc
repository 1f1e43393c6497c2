#include "kernels/elementwise_internal.h"

#if defined(__aarch64__)
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

// Eight sums in double of add(two values, sums of their lanes) over the whole vectors of x.
template <class Add>
double sum_of(const float* x, int64_t n, Add add) {
  float64x2_t sums[4] = {};
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    const float32x4_t low = vld1q_f32(x + i), high = vld1q_f32(x + i + 4);
    add(vcvt_f64_f32(vget_low_f32(low)), sums[0]);
    add(vcvt_high_f64_f32(low), sums[1]);
    add(vcvt_f64_f32(vget_low_f32(high)), sums[2]);
    add(vcvt_high_f64_f32(high), sums[3]);
  }
  return vaddvq_f64(vaddq_f64(vaddq_f64(sums[0], sums[2]), vaddq_f64(sums[1], sums[3])));
}

double sum(const float* x, int64_t n) {
  double total = sum_of(x, n, [](float64x2_t v, float64x2_t& to) { to = vaddq_f64(to, v); });
  for (int64_t i = n / 8 * 8; i < n; ++i) total += x[i];
  return total;
}

double squares(const float* x, double mean, int64_t n) {
  const float64x2_t center = vdupq_n_f64(mean);
  double total = sum_of(x, n, [&](float64x2_t v, float64x2_t& to) {
    const float64x2_t d = vsubq_f64(v, center);
    to = vfmaq_f64(to, d, d);
  });
  for (int64_t i = n / 8 * 8; i < n; ++i) total += (x[i] - mean) * (x[i] - mean);
  return total;
}

void scale(const float* x, float mean, float factor, const float* w, float* y, int64_t n) {
  const float32x4_t center = vdupq_n_f32(mean);
  for (int64_t i = 0; i < n; i += 4) {
    const float32x4_t value = vmulq_n_f32(vsubq_f32(load_first_neon(x + i, n - i), center), factor);
    store_first_neon(y + i, vmulq_f32(value, load_first_neon(w + i, n - i)), n - i);
  }
}

}  // namespace

const NormRows kNormNeon = {sum, squares, scale};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const NormRows kNormNeon = kNormPlain;
}  // namespace calliope::kernels::detail
#endif
