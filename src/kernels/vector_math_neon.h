#pragma once

// Only for _neon.cc files: four lanes of what vector_math_avx2.h has eight of.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace calliope::kernels::detail {

// The first `count` <= 4 floats, zeros behind; and into memory, nothing behind.
inline float32x4_t load_first_neon(const float* p, int64_t count) {
  if (count >= 4) return vld1q_f32(p);
  float padded[4] = {};
  if (count > 0) std::memcpy(padded, p, static_cast<size_t>(count) * sizeof(float));
  return vld1q_f32(padded);
}
inline void store_first_neon(float* p, float32x4_t v, int64_t count) {
  if (count >= 4) return vst1q_f32(p, v);
  float padded[4];
  vst1q_f32(padded, v);
  if (count > 0) std::memcpy(p, padded, static_cast<size_t>(count) * sizeof(float));
}

// All ones in the first `count` lanes.
inline uint32x4_t first_lanes_neon(int64_t count) {
  constexpr int32_t kLanes[4] = {0, 1, 2, 3};
  return vcltq_s32(vld1q_s32(kLanes), vdupq_n_s32(static_cast<int32_t>(count < 0 ? 0 : count > 4 ? 4 : count)));
}
// Zero where the mask is.
inline float32x4_t keep_neon(uint32x4_t mask, float32x4_t v) {
  return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(v)));
}

// e^x. As exp_avx2.
inline float32x4_t exp_neon(float32x4_t x) {
  x = vmaxq_f32(x, vdupq_n_f32(-87.3365478515625f));
  x = vminq_f32(x, vdupq_n_f32(88.7228393554688f));
  const float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 1.44269504088896341f));
  float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693359375f));
  r = vfmaq_f32(r, n, vdupq_n_f32(2.12194440e-4f));
  float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
  p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
  p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
  p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
  p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
  p = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), p, r);
  p = vfmaq_f32(vaddq_f32(r, vdupq_n_f32(1.0f)), p, vmulq_f32(r, r));
  // 2^n as two factors, so that n = 128 does not overflow the exponent.
  const int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
  const auto power = [](int32x4_t e) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(e, vdupq_n_s32(127)), 23)); };
  return vmulq_f32(vmulq_f32(p, power(half)), power(vsubq_s32(whole, half)));
}

// erf(x). As erf_avx2.
inline float32x4_t erf_neon(float32x4_t x) {
  const auto constant = [](float value) { return vdupq_n_f32(value); };
  const uint32x4_t sign = vdupq_n_u32(0x80000000);
  const float32x4_t t = vabsq_f32(x), s = vmulq_f32(x, x);
  float32x4_t u = vfmaq_f32(constant(3.83197126e-4f), constant(-1.72853470e-5f), t);
  u = vfmaq_f32(vfmaq_f32(constant(2.42546219e-2f), constant(-3.88396438e-3f), t), u, s);
  u = vfmaq_f32(constant(-1.06777877e-1f), u, t);
  u = vfmaq_f32(constant(-6.34846687e-1f), u, t);
  u = vfmaq_f32(constant(-1.28717512e-1f), u, t);
  u = vfmaq_f32(vnegq_f32(t), u, t);
  const float32x4_t large = vbslq_f32(sign, x, vsubq_f32(constant(1.0f), exp_neon(u)));
  float32x4_t p = constant(-5.96761703e-4f);
  p = vfmaq_f32(constant(4.99119423e-3f), p, s);
  p = vfmaq_f32(constant(-2.67681349e-2f), p, s);
  p = vfmaq_f32(constant(1.12819925e-1f), p, s);
  p = vfmaq_f32(constant(-3.76125336e-1f), p, s);
  p = vfmaq_f32(constant(1.28379166e-1f), p, s);
  p = vfmaq_f32(x, p, x);
  return vbslq_f32(vcgtq_f32(t, constant(0.927734375f)), large, p);
}

// 1 / (1 + e^-x)
inline float32x4_t sigmoid_neon(float32x4_t x) {
  const float32x4_t one = vdupq_n_f32(1.0f);
  return vdivq_f32(one, vaddq_f32(one, exp_neon(vnegq_f32(x))));
}

// tanh(x). As tanh_avx2.
inline float32x4_t tanh_neon(float32x4_t x) {
  const float32x4_t one = vdupq_n_f32(1.0f);
  return vsubq_f32(one, vdivq_f32(vdupq_n_f32(2.0f), vaddq_f32(one, exp_neon(vaddq_f32(x, x)))));
}

// The sums of four vectors' lanes, (0+1) + (2+3) each: the order every NEON kernel sums lanes in.
inline float32x4_t sum_each_neon(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d) {
  return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}
inline float sum_neon(float32x4_t v) {
  return vaddvq_f32(v);
}

}  // namespace calliope::kernels::detail
#endif
