#include "tensor/quant_blocks.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace calliope::tensor {
namespace {

constexpr uint16_t kOne = 0x3c00, kHalf = 0x3800, kTwo = 0x4000;  // f16

template <class Block>
View view_of(DType type, const Block& block) {
  return {type, {1, block_elements(type)}, reinterpret_cast<const std::byte*>(&block)};
}

TEST(HalfFloats, EveryF16ComesBackFromF32) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      ASSERT_EQ(f32_to_f16(value), bits);
    }
  }
}

TEST(HalfFloats, RoundToNearestTiesToEven) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);            // a tie, to even
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);        // a tie, to even
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);                        // half of the smallest, to even
  EXPECT_EQ(f32_to_f16(0x1.8p-24f), 2);
  EXPECT_EQ(f32_to_f16(-0x1p-24f), 0x8001);
  EXPECT_EQ(f32_to_f16(0x1.ffcp-15f), 0x0400);               // rounds up into the normal numbers
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(QuantBlocks, KnownBytesOfQ8_0AndQ4_0) {
  BlockQ8_0 q8{kHalf, {}};
  q8.qs[0] = -128;
  q8.qs[31] = 127;
  EXPECT_EQ(view_of(DType::q8_0, q8).at(0), -64.0f);
  EXPECT_EQ(view_of(DType::q8_0, q8).at(31), 63.5f);
  BlockQ4_0 q4{kTwo, {}};
  q4.qs[3] = 0xf1;  // element 3 is 1 - 8, element 19 is 15 - 8
  EXPECT_EQ(view_of(DType::q4_0, q4).at(3), -14.0f);
  EXPECT_EQ(view_of(DType::q4_0, q4).at(19), 14.0f);
  EXPECT_EQ(view_of(DType::q4_0, q4).at(0), -16.0f);
}

TEST(QuantBlocks, KnownBytesOfTheKTypes) {
  BlockQ4K q4{kOne, kHalf, {}, {}};
  q4.scales[1] = 0x40 | 5;    // scale of group 1 is 5; its upper bits belong to scale 5
  q4.scales[5] = 0x80 | 3;    // min of group 1 is 3; its upper bits belong to min 5
  q4.scales[9] = 0x21;        // lower bits: scale 5 is 1, min 5 is 2
  q4.qs[4] = 0x70;            // group 1, element 4
  q4.qs[2 * 32 + 9] = 0xb0;   // group 5, element 9
  EXPECT_EQ(group_scale(q4.scales, 5), 17);
  EXPECT_EQ(group_min(q4.scales, 5), 34);
  EXPECT_EQ(view_of(DType::q4_k, q4).at(32 + 4), 5 * 7 - 0.5f * 3);
  EXPECT_EQ(view_of(DType::q4_k, q4).at(5 * 32 + 9), 17 * 11 - 0.5f * 34);
  EXPECT_EQ(view_of(DType::q4_k, q4).at(4), 0.0f);

  BlockQ5K q5{kOne, kHalf, {}, {}, {}};
  std::memcpy(q5.scales, q4.scales, sizeof q5.scales);
  q5.qs[4] = 0x70;
  q5.qh[4] = 1 << 1;
  EXPECT_EQ(view_of(DType::q5_k, q5).at(32 + 4), 5 * 23 - 0.5f * 3);

  BlockQ6K q6{{}, {}, {}, kHalf};
  q6.scales[8 + 5] = -3;           // elements 128 + 80 .. 128 + 95
  q6.ql[64 + 20] = 0xa0;           // second half, third quarter: element 128 + 64 + 20
  q6.qh[32 + 20] = 2 << 4;
  EXPECT_EQ(view_of(DType::q6_k, q6).at(128 + 64 + 20), 0.5f * -3 * (10 + 32 - 32));
  EXPECT_EQ(view_of(DType::q6_k, q6).at(128 + 64 + 21), 0.5f * -3 * -32);
}

TEST(QuantBlocks, ToF32AgreesWithAt) {
  std::mt19937 random(1);
  for (const DType type : {DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    const int64_t columns = 2 * block_elements(type);
    std::vector<std::byte> bytes(bytes_of(type, 3 * columns));
    for (auto& byte : bytes) byte = static_cast<std::byte>(random() & 0x3b);  // no infinite f16
    const View view{type, {3, columns}, bytes.data()};
    EXPECT_EQ(view.bytes(), bytes.size());
    std::vector<float> all(static_cast<size_t>(3 * columns)), row(static_cast<size_t>(columns));
    view.to_f32(all);
    view.row(2).to_f32(row);
    EXPECT_EQ(view.slice(1, 2).row(1).data, view.row(2).data);
    for (int64_t i = 0; i < 3 * columns; ++i) ASSERT_EQ(all[size_t(i)], view.at(i)) << name_of(type);
    for (int64_t i = 0; i < columns; ++i) ASSERT_EQ(row[size_t(i)], view.at(2 * columns + i)) << name_of(type);
  }
}

TEST(QuantBlocks, QuantisingIsWithinHalfAStep) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    std::vector<float> values(64 * 32), back(values.size());
    for (float& value : values) value = normal(random);
    std::vector<std::byte> bytes(bytes_of(type, int64_t(values.size())));
    quantize(type, values, bytes.data());
    dequantize(type, bytes.data(), back);
    for (size_t block = 0; block < values.size(); block += 32) {
      float most = 0;
      for (size_t i = block; i < block + 32; ++i) most = std::max(most, std::abs(values[i]));
      // Half a step, or a whole one where four bits end one step short of the largest; the f16 scale adds 2^-11 of it.
      const float step = type == DType::q8_0 ? most / 127 : most / 8;
      const float bound = (type == DType::q8_0 ? 0.5f : 1.0f) * step + most * 0x1p-11f;
      for (size_t i = block; i < block + 32; ++i) ASSERT_NEAR(values[i], back[i], bound * 1.0001f);
    }
  }
}

TEST(QuantBlocks, QuantisedBytesAreGgmls) {
  std::vector<float> values(32);
  for (size_t i = 0; i < 32; ++i) values[i] = float(i) - 16;
  BlockQ8_0 q8;
  quantize(DType::q8_0, values, reinterpret_cast<std::byte*>(&q8));
  EXPECT_EQ(q8.d, f32_to_f16(16.0f / 127));
  EXPECT_EQ(q8.qs[0], -127);
  EXPECT_EQ(q8.qs[15], -8);   // -7.9375
  EXPECT_EQ(q8.qs[31], 119);  // 119.0625
  BlockQ4_0 q4;
  quantize(DType::q4_0, values, reinterpret_cast<std::byte*>(&q4));
  EXPECT_EQ(q4.d, kTwo);
  EXPECT_EQ(q4.qs[0], 8 << 4);           // -16 is nibble 0, 0 is nibble 8
  EXPECT_EQ(q4.qs[15], 15 << 4 | 8);     // -1 / 2 + 8.5 = 8; 15 / 2 + 8.5 = 16, held to 15
  const std::vector<float> zeros(32);
  quantize(DType::q4_0, zeros, reinterpret_cast<std::byte*>(&q4));
  EXPECT_EQ(view_of(DType::q4_0, q4).at(7), 0.0f);
}

// tools/reference/make_quant_fixture.py: what ggml's own package makes of random blocks and values.
TEST(QuantBlocks, AgreeWithGgml) {
  const auto fixture = SafetensorsFile::open(CALLIOPE_SOURCE_DIR "/tests/fixtures/quant_blocks.safetensors");
  ASSERT_TRUE(fixture) << fixture.error().message;
  for (const DType type : {DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    std::string name(name_of(type));
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    const View blocks = fixture->tensors().at(name + ".blocks"), values = fixture->tensors().at(name + ".values");
    std::vector<std::byte> aligned(blocks.data, blocks.data + blocks.bytes());
    const View view{type, values.shape, aligned.data()};
    ASSERT_EQ(view.bytes(), blocks.bytes());
    // Scale times quant and min are rounded in another order there: two roundings of each.
    for (int64_t i = 0; i < values.shape[0]; ++i) {
      ASSERT_NEAR(view.at(i), values.at(i), 4 * 0x1p-24f * (std::abs(values.at(i)) + 1000)) << name << " " << i;
    }
    if (type != DType::q8_0 && type != DType::q4_0) continue;
    const View from = fixture->tensors().at("quantise." + name + ".values"), to = fixture->tensors().at("quantise." + name + ".blocks");
    std::vector<float> floats(static_cast<size_t>(from.shape[0]));
    from.to_f32(floats);
    std::vector<std::byte> mine(to.bytes());
    quantize(type, floats, mine.data());
    for (size_t i = 0; i < mine.size(); ++i) ASSERT_EQ(mine[i], to.data[i]) << name << " byte " << i;
  }
}

}  // namespace
}  // namespace calliope::tensor
