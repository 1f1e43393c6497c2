#include "tensor/quant_blocks.h"

#include <algorithm>
#include <cmath>

#include "tensor/tensor.h"

namespace calliope::tensor {
namespace {

float value(const BlockQ8_0& b, int i) { return float(b.qs[i]) * f16_to_f32(b.d); }

float value(const BlockQ4_0& b, int i) {
  const int nibble = i < 16 ? b.qs[i] & 15 : b.qs[i - 16] >> 4;
  return float(nibble - 8) * f16_to_f32(b.d);
}

// d * scale * q - dmin * min, in ggml's order.
template <class Block>
float scaled(const Block& b, int group, int q) {
  const float scale = f16_to_f32(b.d) * float(group_scale(b.scales, group));
  const float min = f16_to_f32(b.dmin) * float(group_min(b.scales, group));
  return scale * float(q) - min;
}

template <class Block>
int nibble_of_group(const Block& b, int group, int i) {
  const int byte = b.qs[group / 2 * 32 + i];
  return group % 2 ? byte >> 4 : byte & 15;
}

float value(const BlockQ4K& b, int i) { return scaled(b, i / 32, nibble_of_group(b, i / 32, i % 32)); }

float value(const BlockQ5K& b, int i) {
  const int group = i / 32, fifth = (b.qh[i % 32] >> group & 1) << 4;
  return scaled(b, group, nibble_of_group(b, group, i % 32) | fifth);
}

float value(const BlockQ6K& b, int i) {
  const int half = i / 128, quarter = i % 128 / 32, at = i % 32;
  const int byte = b.ql[half * 64 + quarter % 2 * 32 + at];
  const int low = quarter < 2 ? byte & 15 : byte >> 4;
  const int high = b.qh[half * 32 + at] >> (2 * quarter) & 3;
  return f16_to_f32(b.d) * float(b.scales[i / 16]) * float((low | high << 4) - 32);
}

template <class Call>
auto with_block(DType type, const std::byte* data, Call call) {
  CHECK(reinterpret_cast<uintptr_t>(data) % 2 == 0);
  switch (type) {
    case DType::q8_0: return call(reinterpret_cast<const BlockQ8_0*>(data));
    case DType::q4_0: return call(reinterpret_cast<const BlockQ4_0*>(data));
    case DType::q4_k: return call(reinterpret_cast<const BlockQ4K*>(data));
    case DType::q5_k: return call(reinterpret_cast<const BlockQ5K*>(data));
    default: CHECK(type == DType::q6_k); return call(reinterpret_cast<const BlockQ6K*>(data));
  }
}

void quantize_block(const float* x, BlockQ8_0& out) {
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::max(most, std::abs(x[i]));
  const float d = most / 127, inverse = d != 0 ? 1 / d : 0;
  out.d = f32_to_f16(d);
  for (int i = 0; i < 32; ++i) out.qs[i] = static_cast<int8_t>(std::clamp(std::round(x[i] * inverse), -127.0f, 127.0f));
}

void quantize_block(const float* x, BlockQ4_0& out) {
  float most = 0;  // the value of the largest magnitude, with its sign: it becomes nibble 0, exactly
  for (int i = 0; i < 32; ++i) most = std::abs(x[i]) > std::abs(most) ? x[i] : most;
  const float d = most / -8, inverse = d != 0 ? 1 / d : 0;
  out.d = f32_to_f16(d);
  const auto nibble = [&](float v) { return static_cast<uint8_t>(std::clamp(v * inverse + 8.5f, 0.0f, 15.0f)); };
  for (int i = 0; i < 16; ++i) out.qs[i] = static_cast<uint8_t>(nibble(x[i]) | nibble(x[i + 16]) << 4);
}

template <class Block>
void quantize_blocks(std::span<const float> values, std::byte* out) {
  auto* block = reinterpret_cast<Block*>(out);
  for (size_t i = 0; i < values.size(); i += 32) quantize_block(values.data() + i, *block++);
}

}  // namespace

float dequantize_at(DType type, const std::byte* data, int64_t i) {
  const int64_t per_block = block_elements(type);
  return with_block(type, data, [&](const auto* block) { return value(block[i / per_block], int(i % per_block)); });
}

void dequantize(DType type, const std::byte* data, std::span<float> out) {
  const int64_t per_block = block_elements(type), count = static_cast<int64_t>(out.size());
  CHECK(count % per_block == 0);
  with_block(type, data, [&](const auto* block) {
    for (int64_t at = 0; at < count; at += per_block, ++block) {
      for (int i = 0; i < per_block; ++i) out[static_cast<size_t>(at + i)] = value(*block, i);
    }
  });
}

void quantize(DType type, std::span<const float> values, std::byte* out) {
  CHECK(values.size() % 32 == 0 && reinterpret_cast<uintptr_t>(out) % 2 == 0);
  CHECK(type == DType::q8_0 || type == DType::q4_0);
  type == DType::q8_0 ? quantize_blocks<BlockQ8_0>(values, out) : quantize_blocks<BlockQ4_0>(values, out);
}

}  // namespace calliope::tensor
