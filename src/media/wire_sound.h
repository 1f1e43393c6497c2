#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace calliope::media {

/// How bare sound travels in a live conversation: little-endian 16-bit samples at 24 kHz, or G.711 at 8 kHz; mono.
enum class WireFormat { pcm16, mulaw, alaw };

constexpr int wire_rate(WireFormat format) { return format == WireFormat::pcm16 ? 24000 : 8000; }
constexpr size_t wire_sample_bytes(WireFormat format) { return format == WireFormat::pcm16 ? 2 : 1; }

/// Appends the samples, in [-1, 1], to `out`. `bytes` holds whole samples.
void from_wire(std::span<const uint8_t> bytes, WireFormat format, std::vector<float>& out);

/// Appends the bytes of samples to `out`; what lies outside [-1, 1] is clipped.
void to_wire(std::span<const float> samples, WireFormat format, std::vector<uint8_t>& out);

/// Changes the sample rate of a sound that comes in pieces; pieces of any size give the same samples as the whole.
class Resampler {
 public:
  Resampler(int from_hz, int to_hz);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  /// Appends what is final by now; the last few milliseconds wait for more.
  void push(std::span<const float> samples, std::vector<float>& out);
  /// Appends what still waits. The sound ends here; the next push begins a new one.
  void finish(std::vector<float>& out);

 private:
  struct State;
  void run(std::span<const float> samples, std::vector<float>& out);
  const int from_hz_;
  const int to_hz_;
  State* state_ = nullptr;  ///< null when both rates are the same
};

/// A whole sound at another rate.
std::vector<float> resample(std::span<const float> samples, int from_hz, int to_hz);

}  // namespace calliope::media
