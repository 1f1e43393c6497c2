#include "model/image_resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/thread_pool.h"

namespace calliope::model {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double weight_at(Resample filter, double x) {
  const double distance = std::abs(x);
  switch (filter) {
    case Resample::box: return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Resample::bilinear: return distance < 1 ? 1 - distance : 0;
    case Resample::hamming:
      if (distance == 0) return 1;
      return distance < 1 ? sinc(distance) * (0.54f + 0.46f * std::cos(distance * std::numbers::pi)) : 0;
    case Resample::bicubic: {
      constexpr double a = -0.5;
      if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
      return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0;
    }
    case Resample::lanczos: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case Resample::nearest: break;
  }
  return 0;
}

double support_of(Resample filter) {
  switch (filter) {
    case Resample::box: return 0.5;
    case Resample::bicubic: return 2;
    case Resample::lanczos: return 3;
    default: return 1;
  }
}

// For each output position the first input position and the fixed-point weights from there.
struct Taps {
  std::vector<int64_t> first;
  std::vector<int64_t> count;
  std::vector<int32_t> weights;  ///< `most` an output position
  int64_t most = 0;
};

// precompute_coeffs and normalize_coeffs_8bpc
Taps taps_for(int64_t in, int64_t out, Resample filter) {
  const double scale = double(in) / double(out), filter_scale = std::max(scale, 1.0);
  const double support = support_of(filter) * filter_scale;
  Taps taps;
  taps.most = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.weights.resize(static_cast<size_t>(out * taps.most));
  std::vector<double> weights(static_cast<size_t>(taps.most));
  for (int64_t i = 0; i < out; ++i) {
    const double center = (double(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const int64_t count = std::min(in, static_cast<int64_t>(center + support + 0.5)) - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      sum += weights[size_t(k)] = weight_at(filter, (double(k + first) - center + 0.5) * (1.0 / filter_scale));
    }
    for (int64_t k = 0; k < count; ++k) {
      double weight = weights[size_t(k)];
      if (sum != 0) weight /= sum;
      taps.weights[size_t(i * taps.most + k)] =
          static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kPrecisionBits));
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

constexpr int64_t kStepBytes = int64_t{3} << 20;  // of the input that one step reads: some 10 ms

uint8_t to_byte(int32_t fixed) { return static_cast<uint8_t>(std::clamp(fixed >> kPrecisionBits, 0, 255)); }

// Rows [first, last) of [height, in width] -> [height, out width].
void horizontal(const RgbImage& image, int64_t width, const Taps& taps, int64_t first, int64_t last,
                std::vector<uint8_t>& out) {
  parallel_for(last - first, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = first + begin; y < first + end; ++y) {
      const uint8_t* row = image.rgb.data() + y * image.width * 3;
      uint8_t* to = out.data() + y * width * 3;
      for (int64_t x = 0; x < width; ++x) {
        int32_t sums[3] = {1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1)};
        const uint8_t* from = row + taps.first[size_t(x)] * 3;
        const int32_t* weights = taps.weights.data() + x * taps.most;
        for (int64_t k = 0; k < taps.count[size_t(x)]; ++k) {
          for (int c = 0; c < 3; ++c) sums[c] += from[k * 3 + c] * weights[k];
        }
        for (int c = 0; c < 3; ++c) to[x * 3 + c] = to_byte(sums[c]);
      }
    }
  });
}

// Rows [first, last) of [in height, width] -> [out height, width].
void vertical(const RgbImage& image, const Taps& taps, int64_t first, int64_t last, std::vector<uint8_t>& out) {
  const int64_t bytes = image.width * 3;
  parallel_for(last - first, 16, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(bytes));
    for (int64_t y = first + begin; y < first + end; ++y) {
      std::ranges::fill(sums, 1 << (kPrecisionBits - 1));
      for (int64_t k = 0; k < taps.count[size_t(y)]; ++k) {
        const uint8_t* from = image.rgb.data() + (taps.first[size_t(y)] + k) * bytes;
        const int32_t weight = taps.weights[size_t(y * taps.most + k)];
        for (int64_t i = 0; i < bytes; ++i) sums[size_t(i)] += from[i] * weight;
      }
      for (int64_t i = 0; i < bytes; ++i) out[size_t(y * bytes + i)] = to_byte(sums[size_t(i)]);
    }
  });
}

std::vector<uint8_t> nearest(const RgbImage& image, int64_t width, int64_t height) {
  std::vector<uint8_t> out;
  out.reserve(static_cast<size_t>(width * height * 3));
  for (int64_t y = 0; y < height; ++y) {
    const auto from_y = static_cast<int64_t>((double(y) + 0.5) * (double(image.height) / double(height)));
    for (int64_t x = 0; x < width; ++x) {
      const auto from_x = static_cast<int64_t>((double(x) + 0.5) * (double(image.width) / double(width)));
      const uint8_t* from = image.rgb.data() + (from_y * image.width + from_x) * 3;
      out.insert(out.end(), from, from + 3);
    }
  }
  return out;
}

}  // namespace

std::vector<uint8_t> resample_rgb(const RgbImage& image, int64_t width, int64_t height, Resample filter) {
  return resample_rgb_steps(image, width, height, filter).run();
}

Steps<std::vector<uint8_t>> resample_rgb_steps(RgbImage image, int64_t width, int64_t height, Resample filter) {
  CHECK(width > 0 && height > 0 && image.width > 0 && image.height > 0);
  CHECK(static_cast<int64_t>(image.rgb.size()) == image.width * image.height * 3);
  if (filter == Resample::nearest) co_return nearest(image, width, height);
  const bool across_needed = width != image.width, down_needed = height != image.height;
  std::vector<uint8_t> now(across_needed || down_needed ? 0 : image.rgb.size()), next;
  if (!across_needed && !down_needed) std::ranges::copy(image.rgb, now.begin());
  // Pillow 13 takes the vertical pass first where that saves work; rounding in between makes the order visible.
  const int64_t rows_saved = image.height - height, columns_saved = image.width - width;
  const bool down_first = down_needed && (!across_needed || (rows_saved > 0 && rows_saved > 2 * columns_saved));
  const bool order[] = {down_first, !down_first};
  for (const bool down : order) {
    if (!(down ? down_needed : across_needed)) continue;
    const int64_t to_width = down ? image.width : width, to_height = down ? height : image.height;
    const Taps taps = down ? taps_for(image.height, height, filter) : taps_for(image.width, width, filter);
    next.resize(static_cast<size_t>(to_width * to_height * 3));
    const int64_t row_bytes = image.width * 3 * (down ? std::max<int64_t>(1, image.height / height) : 1);
    const int64_t rows = std::max<int64_t>(1, kStepBytes / row_bytes);
    for (int64_t first = 0; first < to_height; first += rows) {
      const int64_t last = std::min(first + rows, to_height);
      if (down)
        vertical(image, taps, first, last, next);
      else
        horizontal(image, width, taps, first, last, next);
      co_yield Pause{};
    }
    now.swap(next);
    image = {now, to_width, to_height};
  }
  co_return now;
}

}  // namespace calliope::model
