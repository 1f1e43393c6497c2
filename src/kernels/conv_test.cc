#include "kernels/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace calliope::kernels {
namespace {

using tensor::Tensor;

Tensor random_tensor(tensor::Shape shape, std::mt19937& random) {
  Tensor x(shape);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (float& value : x.span()) value = normal(random);
  return x;
}

// A chain of n fused additions: at most n half ulps of the sum of magnitudes.
double bound(const Windows& x, const PackedWeight& w, int64_t r, int64_t o) {
  double magnitude = std::abs(w.bias()[o]);
  for (int64_t k = 0; k < x.inner(); ++k) {
    const double value = x.data[r * x.stride + k / x.cols * x.tap_stride + k % x.cols];
    magnitude += std::abs(value * w.weight(k, o));
  }
  return double(x.inner() + 2) * 0x1p-24 * magnitude;
}

TEST(Conv, EveryTailAgreesWithThePlainLoop) {
  std::mt19937 random(1);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 25, 101}) {
      for (const int64_t in : {1, 3, 8, 60}) {
        for (const int64_t out : {1, 7, 8, 9, 16, 17, 33, 80}) {
          for (const int64_t taps : {1, 2, 7}) {
            const int64_t dilation = taps == 7 ? 3 : 1;
            const Tensor x = random_tensor({rows + (taps - 1) * dilation, in}, random);
            const Tensor weight = random_tensor({out, in, taps}, random), bias = random_tensor({out}, random);
            const auto packed = PackedWeight::conv1d(weight.view(), bias.view());
            Tensor y({rows, out}), expected({rows, out});
            const Windows windows = causal_windows(x.rows(), taps, dilation);
            conv(windows, packed, y.rows());
            conv_reference(windows, packed, expected.rows());
            for (int64_t r = 0; r < rows; ++r) {
              for (int64_t o = 0; o < out; ++o) {
                ASSERT_NEAR(y.rows().row(r)[o], expected.rows().row(r)[o], bound(windows, packed, r, o))
                    << name_of(isa) << " rows " << rows << " in " << in << " out " << out << " taps " << taps;
              }
            }
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Conv, ManyWindowsEqualEachAloneBitForBitWithAnyThreads) {
  std::mt19937 random(2);
  const Tensor x = random_tensor({211, 70}, random);
  const Tensor weight = random_tensor({100, 70, 7}, random), bias = random_tensor({100}, random);
  const auto packed = PackedWeight::conv1d(weight.view(), bias.view());
  Tensor together({193, 100}), alone({193, 100});
  set_thread_count(2);
  conv(causal_windows(x.rows(), 7, 3), packed, together.rows());
  set_thread_count(1);
  for (int64_t t = 0; t < 193; ++t) conv(causal_windows(x.rows().slice(t, 19), 7, 3), packed, alone.rows().slice(t, 1));
  EXPECT_EQ(std::memcmp(together.data(), alone.data(), sizeof(float) * 193 * 100), 0);
  for (int64_t count = 2; count < 24; ++count) {
    conv(causal_windows(x.rows().slice(0, count + 18), 7, 3), packed, alone.rows().slice(0, count));
    EXPECT_EQ(std::memcmp(together.data(), alone.data(), sizeof(float) * size_t(count) * 100), 0) << count;
  }
}

TEST(Conv, Bf16ProductsAgreeWithThePlainLoopAtEveryTailAndAreTheSameEverywhere) {
  std::mt19937 random(6);
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 25, 101}) {
    for (const int64_t in : {2, 6, 60}) {
      for (const int64_t out : {1, 7, 8, 9, 16, 17, 33, 48, 80}) {
        for (const int64_t taps : {1, 2, 7}) {
          const int64_t dilation = taps == 7 ? 3 : 1;
          // One float further, so that nothing is aligned.
          Tensor storage({(rows + (taps - 1) * dilation) * in + 1});
          std::normal_distribution<float> normal;
          for (float& value : storage.span()) value = normal(random);
          const tensor::ConstRows x{storage.data() + 1, rows + (taps - 1) * dilation, in, in};
          const Tensor weight = random_tensor({out, in, taps}, random), bias = random_tensor({out}, random);
          const auto packed = PackedWeight::conv1d(weight.view(), bias.view(), Products::bf16);
          const Windows windows = causal_windows(x, taps, dilation);
          Tensor expected({rows, out}), first({rows, out});
          conv_reference(windows, packed, expected.rows());
          for (const Isa isa : available_isas()) {
            set_isa(isa);
            Tensor y({rows, out});
            conv(windows, packed, y.rows());
            if (isa == Isa::plain) first = y;
            ASSERT_EQ(std::memcmp(y.data(), first.data(), sizeof(float) * size_t(rows * out)), 0)
                << name_of(isa) << " rows " << rows << " in " << in << " out " << out << " taps " << taps;
          }
          for (int64_t r = 0; r < rows; ++r) {
            // 2 % more for inputs that rounding has made larger.
            for (int64_t o = 0; o < out; ++o) ASSERT_NEAR(first.rows().row(r)[o], expected.rows().row(r)[o], 1.02 * bound(windows, packed, r, o));
          }
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Conv, Bf16ProductsDifferFromF32AsMuchAsRoundingTheInputsDoes) {
  std::mt19937 random(8);
  const Tensor x = random_tensor({40, 96}, random), bias = random_tensor({33}, random);
  Tensor weight = random_tensor({33, 96, 7}, random);
  for (float& value : weight.span()) value = tensor::bf16_to_f32(tensor::f32_to_bf16(value));
  const auto packed = PackedWeight::conv1d(weight.view(), bias.view(), Products::bf16);
  const auto twin = PackedWeight::conv1d(weight.view(), bias.view());
  const Windows windows = causal_windows(x.rows(), 7, 1);
  Tensor y({34, 33}), expected({34, 33});
  conv(windows, packed, y.rows());
  conv(windows, twin, expected.rows());
  for (int64_t r = 0; r < 34; ++r) {
    for (int64_t o = 0; o < 33; ++o) {
      // Half an ulp of eight bits: 2^-8 / 2 of every |x w|; bound() has the sums' own share, 673 half ulps of f32.
      const double products = bound(windows, twin, r, o) / (double(windows.inner() + 2) * 0x1p-24);
      ASSERT_NEAR(y.rows().row(r)[o], expected.rows().row(r)[o], 0x1p-9 * products + 2.1 * bound(windows, twin, r, o));
    }
  }
}

TEST(Conv, Bf16RoundsToNearestEvenKeepsNotANumberAndDropsWhatIsTiny) {
  // Exactly between two values, above and below; the largest that rounds to infinity; a NaN whose upper half has no bits.
  const uint32_t bits[] = {0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0x7f800001, 0xff800000, 0x007fffff, 0x80000001, 0x00800000};
  const uint32_t wanted[] = {0x3f800000, 0x3f820000, 0x3f810000, 0x3f800000, 0x7f800000, 0x7fc00000, 0xff800000, 0, 0, 0x00800000};
  Tensor weight({1, 2, 1}), bias({1});
  weight.data()[0] = 1.0f;
  const auto packed = PackedWeight::conv1d(weight.view(), bias.view(), Products::bf16);
  for (const Isa isa : available_isas()) {
    set_isa(isa);
    for (size_t i = 0; i < std::size(bits); ++i) {
      Tensor x({40, 2}), y({40, 1});
      for (int64_t t = 0; t < 40; ++t) x.data()[2 * t] = __builtin_bit_cast(float, bits[i]);
      conv(causal_windows(x.rows(), 1, 1), packed, y.rows());
      const float expected = __builtin_bit_cast(float, wanted[i]);
      for (int64_t t = 0; t < 40; ++t) {
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(y.data()[t])) << name_of(isa) << " " << i;
        } else {
          EXPECT_EQ(y.data()[t], expected) << name_of(isa) << " " << i;
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST(Conv, Bf16ManyWindowsEqualEachAloneBitForBitWithAnyThreads) {
  std::mt19937 random(7);
  const Tensor x = random_tensor({218, 70}, random), weight = random_tensor({100, 70, 7}, random), bias = random_tensor({100}, random);
  const auto packed = PackedWeight::conv1d(weight.view(), bias.view(), Products::bf16);
  Tensor together({200, 100}), alone({200, 100});
  set_thread_count(2);
  conv(causal_windows(x.rows(), 7, 3), packed, together.rows());
  set_thread_count(1);
  for (int64_t count = 1; count < 24; ++count) {
    for (int64_t t = 0; t + count <= 200; t += count) {
      conv(causal_windows(x.rows().slice(t, count + 18), 7, 3), packed, alone.rows().slice(t, count));
    }
    ASSERT_EQ(std::memcmp(together.data(), alone.data(), sizeof(float) * size_t(200 / count * count) * 100), 0) << count;
  }
}

// y[o][t * stride + k] += x[i][t] * w[i][o][k], as torch.nn.ConvTranspose1d defines it.
TEST(Conv, TransposedIsTheScatterItReplaces) {
  std::mt19937 random(3);
  for (const Products products : {Products::f32, Products::bf16}) {
  for (const int64_t stride : {1, 2, 3, 5}) {
    for (const int64_t taps : {1, 2}) {
      const int64_t in = 6, out = 3, steps = 9, k = taps * stride;
      Tensor x = random_tensor({steps, in}, random), weight = random_tensor({in, out, k}, random);
      const Tensor bias = random_tensor({out}, random);
      if (products == Products::bf16) {  // values that bf16 holds
        for (Tensor* tensor : {&x, &weight}) {
          for (float& value : tensor->span()) value = tensor::bf16_to_f32(tensor::f32_to_bf16(value));
        }
      }
      std::vector<double> whole(static_cast<size_t>(((steps - 1) * stride + k) * out));
      for (size_t n = 0; n < whole.size(); ++n) whole[n] = bias.data()[n % out];
      for (int64_t t = 0; t < steps; ++t) {
        for (int64_t i = 0; i < in; ++i) {
          for (int64_t o = 0; o < out; ++o) {
            for (int64_t j = 0; j < k; ++j) {
              whole[static_cast<size_t>((t * stride + j) * out + o)] +=
                  double(x.rows().row(t)[i]) * weight.data()[(i * out + o) * k + j];
            }
          }
        }
      }
      Tensor y({steps - taps + 1, stride * out});
      conv(causal_windows(x.rows(), taps, 1), PackedWeight::transposed(weight.view(), bias.view(), stride, products), y.rows());
      // The k - stride steps trimmed on the left are where the first tap stood alone.
      for (int64_t n = 0; n < y.elements(); ++n) {
        ASSERT_NEAR(y.data()[n], whole[static_cast<size_t>(n + (k - stride) * out)], 1e-5) << stride << " " << taps;
      }
    }
  }
  }
}

TEST(Conv, TwoDimensionsOfStrideTwo) {
  std::mt19937 random(4);
  const int64_t in = 3, out = 5, height = 7, width = 6;  // [width + 2, height + 2, in], padded with a border of zeros
  Tensor x({width + 2, height + 2, in});
  std::normal_distribution<float> normal;
  for (int64_t w = 1; w <= width; ++w) {
    for (int64_t h = 1; h <= height; ++h) {
      for (int64_t i = 0; i < in; ++i) x.data()[(w * (height + 2) + h) * in + i] = normal(random);
    }
  }
  const Tensor weight = random_tensor({out, in, 3, 3}, random), bias = random_tensor({out}, random);
  const auto packed = PackedWeight::conv2d(weight.view(), bias.view());
  for (int64_t w = 0; w < width / 2; ++w) {
    Tensor y({(height + 1) / 2, out});
    conv({.data = x.data() + 2 * w * (height + 2) * in, .rows = y.shape()[0], .stride = 2 * in, .taps = 3,
          .tap_stride = (height + 2) * in, .cols = 3 * in}, packed, y.rows());
    for (int64_t h = 0; h < y.shape()[0]; ++h) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = bias.data()[o];
        for (int64_t i = 0; i < in; ++i) {
          for (int64_t a = 0; a < 3; ++a) {
            for (int64_t b = 0; b < 3; ++b) {
              sum += double(weight.data()[((o * in + i) * 3 + a) * 3 + b]) *
                     x.data()[((2 * w + b) * (height + 2) + 2 * h + a) * in + i];
            }
          }
        }
        ASSERT_NEAR(y.rows().row(h)[o], sum, 1e-5);
      }
    }
  }
}

TEST(Conv, DepthwiseFiltersEachChannelAlone) {
  std::mt19937 random(5);
  const Tensor x = random_tensor({12, 5}, random), weight = random_tensor({5, 1, 7}, random), bias = random_tensor({5}, random);
  Tensor y({6, 5});
  depthwise_conv1d(x.rows(), DepthwiseWeight(weight.view(), bias.view()), y.rows());
  for (int64_t t = 0; t < 6; ++t) {
    for (int64_t c = 0; c < 5; ++c) {
      double sum = bias.data()[c];
      for (int64_t k = 0; k < 7; ++k) sum += double(x.rows().row(t + k)[c]) * weight.data()[c * 7 + k];
      ASSERT_NEAR(y.rows().row(t)[c], sum, 1e-5);
    }
  }
}

}  // namespace
}  // namespace calliope::kernels
