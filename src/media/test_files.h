#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

// Files for the tests of this room, written by hand.
namespace calliope::media::test {

using Bytes = std::vector<uint8_t>;

inline Bytes& operator<<(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

template <class T>
void put(Bytes& out, T value) {
  uint8_t bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

/// The colour of a test picture at a place.
inline uint8_t colour(int x, int y, int channel) { return static_cast<uint8_t>(x * 7 + y * 13 + channel * 80); }

inline Bytes rgb(int width, int height) {
  Bytes pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) pixels.push_back(colour(x, y, c));
    }
  }
  return pixels;
}

/// 24-bit BMP of rgb(width, height).
inline Bytes bmp(int width, int height) {
  const size_t stride = (size_t(width) * 3 + 3) / 4 * 4;
  Bytes out;
  out << "BM";
  for (const uint32_t word : {uint32_t(54 + stride * size_t(height)), 0u, 54u, 40u, uint32_t(width), uint32_t(height)})
    put(out, word);
  put<uint16_t>(out, 1);
  put<uint16_t>(out, 24);
  for (int i = 0; i < 6; ++i) put<uint32_t>(out, 0);
  for (int y = height - 1; y >= 0; --y) {
    const size_t start = out.size();
    for (int x = 0; x < width; ++x) {
      for (int c = 2; c >= 0; --c) out.push_back(colour(x, y, c));
    }
    out.resize(start + stride);
  }
  return out;
}

/// A file of tests/fuzz_seeds.
inline Bytes seed(const std::string& folder, const std::string& name) {
  std::ifstream file(CALLIOPE_SOURCE_DIR "/tests/fuzz_seeds/" + folder + "/" + name, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

struct Wav {
  int rate = 16000;
  int channels = 1;
  int bits = 16;
  bool floats = false;
};

/// WAV of interleaved samples in [-1, 1].
inline Bytes wav(const std::vector<float>& samples, Wav form = {}) {
  Bytes data;
  for (const float sample : samples) {
    if (form.floats && form.bits == 64)
      put<double>(data, sample);
    else if (form.floats)
      put(data, sample);
    else if (form.bits == 8)
      data.push_back(static_cast<uint8_t>(std::lround(sample * 127) + 128));
    else if (form.bits == 16)
      put(data, static_cast<int16_t>(std::lround(sample * 32767)));
    else if (form.bits == 32)
      put(data, static_cast<int32_t>(std::lround(double(sample) * 2147483647.0)));
    else {
      const auto value = static_cast<int32_t>(std::lround(double(sample) * 8388607.0));
      for (int shift = 0; shift < 24; shift += 8) data.push_back(static_cast<uint8_t>(value >> shift));
    }
  }
  Bytes out;
  out << "RIFF";
  put(out, static_cast<uint32_t>(36 + data.size()));
  out << "WAVEfmt ";
  put<uint32_t>(out, 16);
  put(out, static_cast<uint16_t>(form.floats ? 3 : 1));
  put(out, static_cast<uint16_t>(form.channels));
  put(out, static_cast<uint32_t>(form.rate));
  put(out, static_cast<uint32_t>(form.rate * form.channels * form.bits / 8));
  put(out, static_cast<uint16_t>(form.channels * form.bits / 8));
  put(out, static_cast<uint16_t>(form.bits));
  out << "data";
  put(out, static_cast<uint32_t>(data.size()));
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

/// A tone of amplitude 0.5.
inline std::vector<float> sine(int rate, double hertz, double seconds) {
  std::vector<float> samples(static_cast<size_t>(rate * seconds));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = 0.5f * static_cast<float>(std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / rate));
  }
  return samples;
}

}  // namespace calliope::media::test
