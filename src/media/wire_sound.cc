#include "media/wire_sound.h"

#include <speex/speex_resampler.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace calliope::media {

namespace {

/// ITU-T G.711, table 2: sign, 3 bits of segment, 4 bits within it, all inverted.
int16_t mulaw_value(uint8_t code) {
  code = static_cast<uint8_t>(~code);
  const int magnitude = (((code & 0x0f) << 3) + 0x84) << (code >> 4 & 7);
  return static_cast<int16_t>((code & 0x80) != 0 ? 0x84 - magnitude : magnitude - 0x84);
}

uint8_t mulaw_code(int value) {
  constexpr int kBias = 0x84, kMost = 32635;
  const int sign = value < 0 ? 0x80 : 0;
  const int magnitude = std::min(std::abs(value), kMost) + kBias;
  int segment = 7;
  for (int bit = 0x4000; segment > 0 && (magnitude & bit) == 0; bit >>= 1) --segment;
  return static_cast<uint8_t>(~(sign | segment << 4 | (magnitude >> (segment + 3) & 0x0f)));
}

/// ITU-T G.711, table 1: as above with even bits inverted, and a linear first segment.
int16_t alaw_value(uint8_t code) {
  code ^= 0x55;
  const int segment = code >> 4 & 7;
  int magnitude = (code & 0x0f) << 4;
  magnitude += segment == 0 ? 8 : 0x108;
  if (segment > 1) magnitude <<= segment - 1;
  return static_cast<int16_t>((code & 0x80) != 0 ? magnitude : -magnitude);
}

uint8_t alaw_code(int value) {
  const int sign = value >= 0 ? 0x80 : 0;
  const int magnitude = std::min(value >= 0 ? value : -value - 1, 32767);
  int segment = 7;
  for (int bit = 0x4000; segment > 0 && (magnitude & bit) == 0; bit >>= 1) --segment;
  const int within = magnitude >> (segment == 0 ? 4 : segment + 3) & 0x0f;
  return static_cast<uint8_t>((sign | segment << 4 | within) ^ 0x55);
}

template <int16_t (*value)(uint8_t)>
constexpr auto table() {
  std::array<float, 256> values;
  for (int i = 0; i < 256; ++i) values[static_cast<size_t>(i)] = value(static_cast<uint8_t>(i)) / 32768.0f;
  return values;
}

int pcm_value(float sample) { return static_cast<int>(std::lrint(std::clamp(sample, -1.0f, 1.0f) * 32767.0f)); }

}  // namespace

void from_wire(std::span<const uint8_t> bytes, WireFormat format, std::vector<float>& out) {
  static const std::array<float, 256> mulaw = table<mulaw_value>(), alaw = table<alaw_value>();
  out.reserve(out.size() + bytes.size() / wire_sample_bytes(format));
  if (format == WireFormat::pcm16) {
    CHECK(bytes.size() % 2 == 0);
    for (size_t i = 0; i < bytes.size(); i += 2) {
      out.push_back(static_cast<int16_t>(bytes[i] | bytes[i + 1] << 8) / 32768.0f);
    }
    return;
  }
  const auto& values = format == WireFormat::mulaw ? mulaw : alaw;
  for (const uint8_t code : bytes) out.push_back(values[code]);
}

void to_wire(std::span<const float> samples, WireFormat format, std::vector<uint8_t>& out) {
  out.reserve(out.size() + samples.size() * wire_sample_bytes(format));
  for (const float sample : samples) {
    const int value = pcm_value(sample);
    if (format == WireFormat::pcm16) {
      out.push_back(static_cast<uint8_t>(value & 0xff));
      out.push_back(static_cast<uint8_t>(value >> 8 & 0xff));
    } else {
      out.push_back(format == WireFormat::mulaw ? mulaw_code(value) : alaw_code(value));
    }
  }
}

struct Resampler::State {
  SpeexResamplerState* speex = nullptr;
  int64_t in = 0;  ///< samples of this sound so far
  int64_t out = 0;
};

Resampler::Resampler(int from_hz, int to_hz) : from_hz_(from_hz), to_hz_(to_hz) {
  if (from_hz == to_hz) return;
  constexpr int kQuality = 6;
  int error = 0;
  state_ = new State;
  state_->speex =
      speex_resampler_init(1, static_cast<spx_uint32_t>(from_hz), static_cast<spx_uint32_t>(to_hz), kQuality, &error);
  CHECK(state_->speex != nullptr);
  speex_resampler_skip_zeros(state_->speex);
}

Resampler::~Resampler() {
  if (state_ == nullptr) return;
  speex_resampler_destroy(state_->speex);
  delete state_;
}

void Resampler::run(std::span<const float> samples, std::vector<float>& out) {
  while (!samples.empty()) {
    const size_t take = std::min<size_t>(samples.size(), 1 << 16);
    const size_t before = out.size();
    auto in_count = static_cast<spx_uint32_t>(take);
    auto out_count = static_cast<spx_uint32_t>(take * static_cast<size_t>(to_hz_) / static_cast<size_t>(from_hz_) + 16);
    out.resize(before + out_count);
    const int error =
        speex_resampler_process_float(state_->speex, 0, samples.data(), &in_count, out.data() + before, &out_count);
    CHECK(error == RESAMPLER_ERR_SUCCESS);
    out.resize(before + out_count);
    state_->out += out_count;
    samples = samples.subspan(in_count);
  }
}

void Resampler::push(std::span<const float> samples, std::vector<float>& out) {
  if (state_ == nullptr) {
    out.insert(out.end(), samples.begin(), samples.end());
    return;
  }
  state_->in += static_cast<int64_t>(samples.size());
  run(samples, out);
}

void Resampler::finish(std::vector<float>& out) {
  if (state_ == nullptr) return;
  const int64_t whole = (state_->in * to_hz_ + from_hz_ - 1) / from_hz_;
  const std::array<float, 64> silence{};
  while (state_->out < whole) run(silence, out);
  out.resize(out.size() - static_cast<size_t>(state_->out - whole));
  speex_resampler_reset_mem(state_->speex);
  speex_resampler_skip_zeros(state_->speex);
  state_->in = state_->out = 0;
}

std::vector<float> resample(std::span<const float> samples, int from_hz, int to_hz) {
  std::vector<float> out;
  Resampler resampler(from_hz, to_hz);
  resampler.push(samples, out);
  resampler.finish(out);
  return out;
}

}  // namespace calliope::media
