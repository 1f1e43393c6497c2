#include "kernels/packed_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/linear.h"
#include "tensor/quant_blocks.h"

namespace calliope::kernels {
namespace {

using tensor::DType;
using tensor::Rows;
using tensor::Tensor;

constexpr DType kTypes[] = {DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k, DType::q6_k};

// Every byte random but the f16 scales, which are finite; f32 twin and packed form of the same.
struct Weights {
  std::vector<std::byte> bytes;
  std::vector<float> bias;
  Tensor twin;
  LinearWeight packed;

  Weights(DType type, int64_t out, int64_t in, std::mt19937& random) : bytes(tensor::bytes_of(type, out * in)) {
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    const auto set_scale = [&](size_t at) {
      const auto bits = static_cast<uint16_t>((random() & 0x83ff) | (8 + random() % 8) << 10);
      std::memcpy(&bytes[at], &bits, 2);
    };
    const size_t block = tensor::block_bytes(type);
    for (size_t at = 0; at < bytes.size(); at += block) {
      set_scale(type == DType::q6_k ? at + offsetof(tensor::BlockQ6K, d) : at);
      if (type == DType::q4_k || type == DType::q5_k) set_scale(at + 2);
    }
    for (int64_t o = 0; o < out; ++o) bias.push_back(static_cast<float>(random() % 100) - 50);
    packed.weight = {type, {out, in}, bytes.data()};
    packed.bias = {DType::f32, {out}, reinterpret_cast<const std::byte*>(bias.data())};
    packed.packed = PackedLinear::pack(packed.weight);
    twin = Tensor({out, in});
    packed.weight.to_f32(twin.span());
  }
};

Tensor random_rows(int64_t rows, int64_t cols, std::mt19937& random) {
  Tensor x({rows, cols});
  std::normal_distribution<float> normal;
  for (float& value : x.span()) value = normal(random);
  return x;
}

// What a block of 32 inputs becomes, by the definition.
std::vector<double> rounded(DType type, const float* x, int64_t count) {
  std::vector<double> out;
  for (int64_t b = 0; b < count; b += 32) {
    float top = 0;
    for (int64_t i = b; i < b + 32; ++i) top = std::max(top, std::abs(x[i]));
    float scale = top / 127.0f, inverse = 127.0f / top;
    if (type == DType::q8_0 || type == DType::q4_0) {
      scale = 0x1p-60f;
      while (scale < double(top) / 127) scale *= 2;
      inverse = 1 / scale;
    }
    for (int64_t i = b; i < b + 32; ++i) out.push_back(double(scale) * std::nearbyint(x[i] * inverse));
  }
  return out;
}

TEST(PackedLinear, AgreesWithTheDequantisedTwinOnRoundedInputs) {
  std::mt19937 random(1);
  set_isa(Isa::plain);
  for (const DType type : kTypes) {
    const int64_t in = 3 * std::max<int64_t>(64, tensor::block_elements(type)), out = 37, rows = 3;
    const Weights w(type, out, in, random);
    const Tensor x = random_rows(rows, in, random);
    Tensor y({rows, out});
    linear(x.rows(), w.packed, y.rows());
    for (int64_t t = 0; t < rows; ++t) {
      const float* given = x.rows().row(t);
      const auto values = rounded(type, given, in);
      for (int64_t o = 0; o < out; ++o) {
        const float* row = w.twin.rows().row(o);
        double expected = w.bias[size_t(o)], unrounded = expected, parts = std::abs(expected), lost = 0;
        for (int64_t i = 0; i < in; ++i) {
          expected += values[size_t(i)] * row[i];
          unrounded += double(given[i]) * row[i];
          parts += std::abs(values[size_t(i)] * row[i]);
          lost += std::abs(row[i] * (values[size_t(i)] - given[i]));
        }
        // The two terms of a weight of Q4_K and Q5_K are summed apart: below 2 * 63 * 31 and 2 * 63 with these scales.
        if (type == DType::q4_k || type == DType::q5_k) {
          for (int64_t i = 0; i < in; ++i) parts += std::abs(values[size_t(i)]) * 2 * 63 * 32;
        }
        // A block takes at most 4 roundings (scale, product, sum, min), each of half an ulp of the magnitudes so far.
        const double bound = (4.0 * double(in) / 32 + 8) * 0x1p-24 * parts;
        ASSERT_NEAR(y.rows().row(t)[o], expected, bound) << name_of(type);
        ASSERT_NEAR(y.rows().row(t)[o], unrounded, bound + lost) << name_of(type);
      }
    }
  }
  set_isa(best_isa());
}

TEST(PackedLinear, EveryInstructionSetAndTailIsThePlainTwinBitForBit) {
  std::mt19937 random(2);
  for (const DType type : kTypes) {
    const int64_t block = tensor::block_elements(type);
    for (const int64_t blocks : {1, 2, 3, 17}) {
      if (block == 256 && blocks == 17) continue;
      for (const int64_t out : {1, 7, 8, 9, 16, 17, 47}) {
        const int64_t in = blocks * block;
        const Weights w(type, out, in, random);
        for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 21}) {
          // Rows that are neither aligned nor close together.
          const Tensor wide = random_rows(tokens, in + 3, random);
          Tensor plain({tokens, out}), other({tokens, out + 5});
          set_isa(Isa::plain);
          linear(wide.rows().columns(1, in), w.packed, plain.rows());
          for (const Isa isa : available_isas().subspan(1)) {
            set_isa(isa);
            std::ranges::fill(other.span(), -7.5f);
            linear(wide.rows().columns(1, in), w.packed, other.rows().columns(3, out));
            for (int64_t t = 0; t < tokens; ++t) {
              const float* row = other.rows().row(t);
              ASSERT_EQ(std::memcmp(row + 3, plain.rows().row(t), sizeof(float) * size_t(out)), 0)
                  << name_of(isa) << " " << name_of(type) << " tokens " << tokens << " in " << in << " out " << out;
              ASSERT_TRUE(row[2] == -7.5f && row[out + 3] == -7.5f) << "written beyond the row";
            }
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(PackedLinear, ABatchEqualsItsRowsBitForBitWithAnyThreads) {
  std::mt19937 random(3);
  for (const DType type : kTypes) {
    const int64_t in = 1280, out = 75, rows = type == DType::q8_0 ? 521 : 43;
    const Weights w(type, out, in, random);
    const Tensor x = random_rows(rows, in, random);
    Tensor batch({rows, out}), alone({rows, out});
    set_thread_count(3);
    linear(x.rows(), w.packed, batch.rows());
    set_thread_count(1);
    for (int64_t t = 0; t < rows; ++t) linear(x.rows().slice(t, 1), w.packed, alone.rows().slice(t, 1));
    EXPECT_EQ(std::memcmp(batch.data(), alone.data(), sizeof(float) * size_t(rows * out)), 0) << name_of(type);
  }
}

TEST(PackedLinear, TasksEqualLinearOnEach) {
  std::mt19937 random(4);
  const int64_t in = 512;
  const Tensor x = random_rows(5, in, random), other = random_rows(11, in, random);
  std::vector<Weights> weights;
  for (const DType type : kTypes) weights.emplace_back(type, 33 + int64_t(weights.size()), in, random);
  weights.emplace_back(DType::q8_0, 20, in, random);
  weights.back().packed.packed = nullptr;  // and one that is not packed
  std::vector<Tensor> together, alone;
  for (const Tensor* rows : {&x, &other}) {
    for (const Weights& w : weights) together.emplace_back(tensor::Shape{rows->shape()[0], w.packed.out()});
  }
  alone = together;
  std::vector<LinearTask> tasks;
  for (size_t i = 0; i < together.size(); ++i) {
    tasks.push_back({(i < weights.size() ? x : other).rows(), &weights[i % weights.size()].packed, together[i].rows()});
  }
  set_thread_count(2);
  linear(tasks);
  for (size_t i = 0; i < together.size(); ++i) {
    linear(tasks[i].x, *tasks[i].w, alone[i].rows());
    EXPECT_EQ(std::memcmp(together[i].data(), alone[i].data(), sizeof(float) * size_t(alone[i].elements())), 0) << i;
  }
}

TEST(PackedLinear, ExtremesOfWeightsAndInputs) {
  std::mt19937 random(5);
  const int64_t in = 64;
  tensor::BlockQ8_0 blocks[2] = {};
  for (auto& block : blocks) {
    block.d = 0x3c00;                              // 1.0
    std::memset(block.qs, 0x80, sizeof block.qs);  // -128, which no quantiser writes
  }
  LinearWeight w{{DType::q8_0, {1, in}, reinterpret_cast<const std::byte*>(blocks)}, {}};
  w.packed = PackedLinear::pack(w.weight);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    const auto run = [&](float first, float rest) {
      Tensor x({1, in}), y({1, 1});
      std::ranges::fill(x.span(), rest);
      x.data()[0] = first;
      linear(x.rows(), w, y.rows());
      return y.data()[0];
    };
    EXPECT_EQ(run(127, 127), -128.0f * 127 * 64);
    EXPECT_EQ(run(254, 254), -128.0f * 254 * 64) << "127 times a power of two is exact";
    EXPECT_EQ(run(std::nextafter(127.0f, 128.0f), 1), -128.0f * (128 + 32))
        << "the scale is two: 63.5 goes to 64, 0.5 to 0";
    EXPECT_EQ(run(-127, -127), 128.0f * 127 * 64);
    EXPECT_EQ(run(0, 0), 0.0f);
    EXPECT_EQ(run(1e-40f, 1e-40f), 0.0f);
    EXPECT_TRUE(std::isnan(run(std::numeric_limits<float>::infinity(), 1)));
    EXPECT_TRUE(std::isnan(run(std::nanf(""), 1)));
    EXPECT_EQ(run(0x1p-80f, 0), -128 * 0x1p-80f);
    EXPECT_EQ(run(0x1.fffffep-81f, 0), 0.0f);
    EXPECT_TRUE(std::isinf(run(0x1.fffffep117f, 0x1.fffffep117f)));
    EXPECT_TRUE(std::isnan(run(0x1p118f, 0))) << "counts as infinite";
  }
  set_isa(best_isa());
}

// The largest and the smallest scale of f16, none, and none that is finite, beside inputs at both ends of their range.
TEST(PackedLinear, ScalesAtTheirEndsAreTheDefinitionInEveryInstructionSet) {
  const int64_t in = 64, out = 8;
  const uint16_t scales[out] = {0x7bff, 0xfbff, 0x0001, 0x8001, 0x0000, 0x8000, 0x7c00, 0x7e00};
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    std::vector<std::byte> bytes(tensor::bytes_of(type, in * out), std::byte{0x91});  // -111 in Q8_0, -7 and 1 in Q4_0
    for (int64_t o = 0; o < out; ++o) {
      for (size_t block = 0; block < 2; ++block)
        std::memcpy(&bytes[(2 * size_t(o) + block) * tensor::block_bytes(type)], &scales[o], 2);
    }
    LinearWeight w{{type, {out, in}, bytes.data()}, {}};
    w.packed = PackedLinear::pack(w.weight);
    const float weights = type == DType::q8_0 ? 32 * -111.0f : 16 * -6.0f;  // the sum of a block's
    for (const Isa isa : available_isas()) {
      set_isa(isa);
      for (const float value : {0x1p-80f, 1.0f, 0x1p100f}) {
        Tensor x({3, in}), y({3, out});
        std::ranges::fill(x.span(), value);
        x.rows().row(1)[40] = std::numeric_limits<float>::infinity();
        linear(x.rows(), w, y.rows());
        for (int64_t o = 0; o < 6; ++o) {
          // Powers of two times integers of few bits: nothing is rounded.
          EXPECT_EQ(y.rows().row(0)[o], tensor::f16_to_f32(scales[o]) * value * 2 * weights) << name_of(isa) << o;
          EXPECT_EQ(y.rows().row(2)[o], y.rows().row(0)[o]);
        }
        for (int64_t o = 0; o < out; ++o) EXPECT_TRUE(std::isnan(y.rows().row(1)[o])) << "a row with an infinite input";
        for (int64_t t = 0; t < 3; ++t) EXPECT_TRUE(std::isnan(y.rows().row(t)[6]) && std::isnan(y.rows().row(t)[7]));
      }
    }
  }
  set_isa(best_isa());
}

TEST(PackedLinear, BytesAreThoseOfTheTypeButForPanelTails) {
  EXPECT_EQ(PackedLinear::bytes_for(DType::q8_0, 64, 256), 64 * 256 / 32 * 34u);
  EXPECT_EQ(PackedLinear::bytes_for(DType::q4_0, 64, 256), 64 * 256 / 32 * 18u);
  EXPECT_EQ(PackedLinear::bytes_for(DType::q4_0, 49, 256), 64 * 256 / 32 * 18u);
  EXPECT_EQ(PackedLinear::bytes_for(DType::q4_k, 16, 512), 2 * 16 * (144 + 4u));  // scales and mins take 8 bits
}

}  // namespace
}  // namespace calliope::kernels
