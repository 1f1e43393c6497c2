#include "kernels/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::DType;
using tensor::Tensor;

// Weights in any float type, rounded by truncation: what matters is that both kernels read the same bits.
struct Weights {
  std::vector<std::byte> bytes;
  std::vector<float> bias;
  LinearWeight weight;

  Weights(DType type, int64_t out, int64_t in, std::mt19937& random) {
    std::normal_distribution<float> normal(0.0f, 1.0f);
    bytes.resize(static_cast<size_t>(out * in) * tensor::size_of(type));
    for (int64_t i = 0; i < out * in; ++i) {
      const float value = normal(random);
      const uint32_t bits = __builtin_bit_cast(uint32_t, value);
      if (type == DType::f32) std::memcpy(&bytes[static_cast<size_t>(i) * 4], &bits, 4);
      const auto bf16 = static_cast<uint16_t>(bits >> 16);
      const auto f16 = static_cast<uint16_t>((bits >> 16 & 0x8000) | (10 + random() % 6) << 10 | random() % 1024);
      if (type != DType::f32) std::memcpy(&bytes[static_cast<size_t>(i) * 2], type == DType::bf16 ? &bf16 : &f16, 2);
    }
    for (int64_t o = 0; o < out; ++o) bias.push_back(normal(random));
    weight.weight = {type, {out, in}, bytes.data()};
    weight.bias = {DType::f32, {out}, reinterpret_cast<const std::byte*>(bias.data())};
  }
};

Tensor random_rows(int64_t rows, int64_t cols, std::mt19937& random) {
  Tensor x({rows, cols});
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (float& value : x.span()) value = normal(random);
  return x;
}

TEST(Linear, EveryTailAgreesWithTheReference) {
  std::mt19937 random(1);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 9}) {
        for (const int64_t in : {1, 7, 8, 9, 36, 64, 131}) {
          for (const int64_t out : {1, 3, 8, 17}) {
            const Weights w(type, out, in, random);
            const Tensor x = random_rows(tokens, in, random);
            Tensor y({tokens, out}), expected({tokens, out});
            linear(x.rows(), w.weight, y.rows());
            linear_reference(x.rows(), w.weight, expected.rows());
            for (int64_t t = 0; t < tokens; ++t) {
              for (int64_t o = 0; o < out; ++o) {
                // Rounding of a sum of n products in four lanes or more: n/4 + 4 roundings of at most half an ulp of the
                // sum of magnitudes.
                double magnitude = std::abs(w.bias[static_cast<size_t>(o)]);
                for (int64_t i = 0; i < in; ++i) magnitude += std::abs(double(x.rows().row(t)[i]) * w.weight.weight.at(o * in + i));
                const double bound = (double(in) / 4 + 5) * 0x1p-24 * magnitude;
                ASSERT_NEAR(y.rows().row(t)[o], expected.rows().row(t)[o], bound)
                    << name_of(isa) << " " << name_of(type) << " tokens " << tokens << " in " << in << " out " << out;
              }
            }
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Linear, QuantisedWeightsAgreeWithTheirDequantisedTwin) {
  std::mt19937 random(3);
  for (const DType type : {DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    const int64_t in = 2 * tensor::block_elements(type), out = 9;
    std::vector<std::byte> bytes(tensor::bytes_of(type, out * in));
    for (auto& byte : bytes) byte = static_cast<std::byte>(random() & 0x3b);  // no infinite f16
    const LinearWeight w{{type, {out, in}, bytes.data()}, {}};
    const Tensor x = random_rows(3, in, random);
    Tensor y({3, out}), expected({3, out}), twin({out, in});
    linear(x.rows(), w, y.rows());
    w.weight.to_f32(twin.span());
    linear_reference(x.rows(), {twin.view(), {}}, expected.rows());
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t o = 0; o < out; ++o) {
        double magnitude = 0;
        for (int64_t i = 0; i < in; ++i) magnitude += std::abs(double(x.rows().row(t)[i]) * twin.rows().row(o)[i]);
        const double bound = (double(in) / 4 + 5) * 0x1p-24 * magnitude;
        ASSERT_NEAR(y.rows().row(t)[o], expected.rows().row(t)[o], bound) << name_of(type);
      }
    }
  }
}

TEST(Linear, ABatchEqualsItsRowsBitForBitWithAnyThreads) {
  std::mt19937 random(2);
  const Weights w(DType::bf16, 301, 517, random);
  const Tensor x = random_rows(11, 517, random);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    Tensor batch({11, 301}), alone({11, 301});
    set_thread_count(2);
    linear(x.rows(), w.weight, batch.rows());
    set_thread_count(1);
    for (int64_t t = 0; t < 11; ++t) linear(x.rows().slice(t, 1), w.weight, alone.rows().slice(t, 1));
    EXPECT_EQ(std::memcmp(batch.data(), alone.data(), sizeof(float) * 11 * 301), 0) << name_of(isa);
  }
  set_isa(best_isa());
}

}  // namespace
}  // namespace calliope::kernels
