#include "kernels/paged_attention_internal.h"

#if defined(__aarch64__)
#include <cstring>

#include "kernels/paged_attention_tile.h"
#include "kernels/vector_math_neon.h"

namespace calliope::kernels::detail {
namespace {

struct NeonOps {
  using Vector = float32x4_t;
  struct Mask {
    int64_t count;  // lanes, four or more for all
    uint32x4_t lanes() const { return first_lanes_neon(count); }
  };
  static constexpr int kLanes = 4, kQueries = 4;
  static constexpr bool kHasDot = false;
  static constexpr int wide(int, DType) { return 4; }
  static constexpr int wide_blend(int) { return 4; }

  static Mask all() { return {4}; }
  static Mask first(int64_t count) { return {count}; }
  static Vector zero() { return vdupq_n_f32(0.0f); }
  static Vector set(float x) { return vdupq_n_f32(x); }
  static Vector load(const float* p) { return vld1q_f32(p); }
  static Vector load(const float* p, Mask own) { return load_first_neon(p, own.count); }
  static void store(float* p, Vector v) { vst1q_f32(p, v); }
  static void store(float* p, Vector v, Mask own) { store_first_neon(p, v, own.count); }
  static Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector sub(Vector a, Vector b) { return vsubq_f32(a, b); }
  static Vector mul(Vector a, Vector b) { return vmulq_f32(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
  static Vector max(Vector a, Vector b) { return vmaxq_f32(a, b); }
  static Vector exp(Vector x) { return exp_neon(x); }
  static Vector keep(Mask own, Vector v) { return keep_neon(own.lanes(), v); }
  static Vector prefer(Mask own, Vector v, Vector other) { return vbslq_f32(own.lanes(), v, other); }
  static float sum(Vector v) { return sum_neon(v); }
  static float largest(Vector v) { return vmaxvq_f32(v); }
  static float first_lane(Vector v) { return vgetq_lane_f32(v, 0); }

  // `from` itself, or a copy of its first elements with zeros behind, when fewer than four are own.
  struct Padded {
    alignas(16) std::byte bytes[16];
    const std::byte* begin;
    CALLIOPE_INLINE Padded(const std::byte* from, size_t size, Mask own) : begin(from) {
      if (own.count >= 4) return;
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
    if constexpr (kType == DType::f32) return vld1q_f32(reinterpret_cast<const float*>(at.begin));
    if constexpr (kType == DType::bf16) {
      return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const uint16_t*>(at.begin)), 16));
    }
    int32_t four;
    std::memcpy(&four, at.begin, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
  }
  // Of pairs of bf16 from pair i on, the first or the second of each.
  template <int kHalf>
  CALLIOPE_INLINE static Vector half_of(const std::byte* from, int64_t i, Mask own) {
    const Padded at(from + 4 * i, 4, own);
    const uint32x4_t pairs = vld1q_u32(reinterpret_cast<const uint32_t*>(at.begin));
    return vreinterpretq_f32_u32(kHalf == 0 ? vshlq_n_u32(pairs, 16) : vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
  }
};

}  // namespace

void paged_queries_neon(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) { paged_queries<NeonOps>(call, kv, begin, end); }

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void paged_queries_neon(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  paged_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
