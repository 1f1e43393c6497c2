#include "kernels/elementwise_internal.h"

#if defined(__aarch64__)
#include <algorithm>

#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

float32x4_t constant(float value) { return vdupq_n_f32(value); }

// x[i] = f(x[i]); nothing beyond n is touched.
template <class F>
void each(float* x, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += 4) store_first_neon(x + i, f(load_first_neon(x + i, n - i)), n - i);
}

template <class F>
void each(const float* a, float* x, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += 4) {
    store_first_neon(x + i, f(load_first_neon(a + i, n - i), load_first_neon(x + i, n - i)), n - i);
  }
}

void add(const float* a, float* x, int64_t n) {
  each(a, x, n, [](float32x4_t from, float32x4_t to) { return vaddq_f32(to, from); });
}

void silu_mul(const float* up, float* gate, int64_t n) {
  each(up, gate, n, [](float32x4_t u, float32x4_t g) { return vmulq_f32(vmulq_f32(g, sigmoid_neon(g)), u); });
}

void silu(float* x, int64_t n) {
  each(x, n, [](float32x4_t v) { return vmulq_f32(v, sigmoid_neon(v)); });
}

void gelu(float* x, int64_t n) {
  each(x, n, [](float32x4_t v) {
    const float32x4_t phi = vaddq_f32(constant(1.0f), erf_neon(vmulq_n_f32(v, 0.70710678118654752f)));
    return vmulq_f32(vmulq_n_f32(v, 0.5f), phi);
  });
}

void gelu_tanh(float* x, int64_t n) {
  each(x, n, [](float32x4_t v) {
    const float32x4_t cube = vmulq_f32(vmulq_f32(vmulq_n_f32(v, 0.044715f), v), v);
    const float32x4_t angle = vmulq_n_f32(vaddq_f32(v, cube), 0.79788456080286536f);
    return vmulq_f32(vmulq_n_f32(v, 0.5f), vaddq_f32(constant(1.0f), tanh_neon(angle)));
  });
}

void softmax(float* x, int64_t n) {
  const float32x4_t top = constant(*std::max_element(x, x + n));
  float32x4_t sums = constant(0.0f);
  for (int64_t i = 0; i < n; i += 4) {
    const float32x4_t e = exp_neon(vsubq_f32(load_first_neon(x + i, n - i), top));
    sums = vaddq_f32(sums, keep_neon(first_lanes_neon(n - i), e));
    store_first_neon(x + i, e, n - i);
  }
  const float32x4_t sum = constant(sum_neon(sums));
  each(x, n, [&](float32x4_t e) { return vdivq_f32(e, sum); });
}

void rope(float* x, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; i += 4) {
    const int64_t count = half - i;
    const float32x4_t c = load_first_neon(cosine + i, count), s = load_first_neon(sine + i, count);
    const float32x4_t a = load_first_neon(x + i, count), b = load_first_neon(x + half + i, count);
    store_first_neon(x + i, vfmsq_f32(vmulq_f32(a, c), b, s), count);
    store_first_neon(x + half + i, vfmaq_f32(vmulq_f32(a, s), b, c), count);
  }
}

}  // namespace

const ElementwiseRows kElementwiseNeon = {add, silu_mul, silu, gelu, gelu_tanh, softmax, rope};

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
const ElementwiseRows kElementwiseNeon = kElementwisePlain;
}  // namespace calliope::kernels::detail
#endif
