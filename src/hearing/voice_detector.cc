#include "hearing/voice_detector.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace calliope::hearing {

namespace {

constexpr float kEdgesHz[] = {120, 250, 400, 600, 850, 1200, 1700, 2400, 3400, 4800, 7000};
constexpr size_t kShortestLag = 40, kLongestLag = 230;  ///< 400 to 70 Hz
constexpr float kQuietDb = -75;                         ///< nothing below counts as the noise of a room

// Fitted to people ordering coffee, alone and with white, pink and brown noise, hum and clicks at 3 to 30 dB.
constexpr float kWeightLow = -0.1942f, kWeightHigh = -0.6198f, kWeightTop = 1.2016f, kWeightPeriodic = 1.5714f,
                kWeightFlat = -0.1851f, kWeightLevel = -0.00572f, kWeightLowCapped = -0.6057f, kBias = -7.2288f;

float db(float power) { return 10 * std::log10(power + 1e-10f); }

}  // namespace

struct VoiceDetector::Transforms {
  Transforms()
      : forward(kiss_fftr_alloc(kWindow, 0, nullptr, nullptr)), inverse(kiss_fftr_alloc(kWindow, 1, nullptr, nullptr)) {
    CHECK(forward != nullptr && inverse != nullptr);
  }
  ~Transforms() {
    kiss_fftr_free(forward);
    kiss_fftr_free(inverse);
  }
  kiss_fftr_cfg forward, inverse;
};

VoiceDetector::VoiceDetector() : transforms_(std::make_unique<Transforms>()) {}
VoiceDetector::~VoiceDetector() = default;

/// The floor of each band: down at once, up slowly, and faster when the sound has not changed for a while, as no speech
/// does.
void VoiceDetector::follow_noise(const std::array<float, kBands>& energy_db, float total_db) {
  if (frames_ == 0) {
    for (size_t i = 0; i < kBands; ++i) noise_db_[i] = std::max(energy_db[i], kQuietDb);
  }
  unrest_db_ += 0.04f * (std::abs(total_db - total_db_) - unrest_db_);
  total_db_ = total_db;
  const float rise_db = unrest_db_ < 1.0f ? 0.6f : 0.05f;
  for (size_t i = 0; i < kBands; ++i) {
    const float above = energy_db[i] - noise_db_[i];
    noise_db_[i] = std::max(noise_db_[i] + (above < 0 ? 0.35f * above : std::min(above, rise_db)), kQuietDb);
  }
}

float VoiceDetector::push(std::span<const float> frame) {
  CHECK(frame.size() == kFrameSamples);
  static const std::array<float, kWindow> hann = [] {
    std::array<float, kWindow> values{};
    for (size_t i = 0; i < kWindow; ++i) {
      values[i] = 0.5f - 0.5f * std::cos(2 * std::numbers::pi_v<float> * static_cast<float>(i) / kWindow);
    }
    return values;
  }();
  std::copy(window_.begin() + kFrameSamples, window_.end(), window_.begin());
  std::copy(frame.begin(), frame.end(), window_.end() - kFrameSamples);

  std::array<float, kWindow> weighted;
  for (size_t i = 0; i < kWindow; ++i) weighted[i] = window_[i] * hann[i];
  std::array<kiss_fft_cpx, kBins> spectrum;
  kiss_fftr(transforms_->forward, weighted.data(), spectrum.data());
  constexpr float kScale = 1.0f / (kWindow * kWindow * 3 / 8);  // over the window's energy and length
  constexpr float kHzPerBin = static_cast<float>(kSampleRate) / kWindow;
  std::array<float, kBins> power;
  for (size_t i = 0; i < kBins; ++i) {
    power[i] = (spectrum[i].r * spectrum[i].r + spectrum[i].i * spectrum[i].i) * kScale;
  }

  std::array<float, kBands> energy_db;
  float sum = 0;
  for (size_t band = 0; band < kBands; ++band) {
    float energy = 0;
    for (auto i = static_cast<size_t>(std::ceil(kEdgesHz[band] / kHzPerBin));
         static_cast<float>(i) * kHzPerBin < kEdgesHz[band + 1]; ++i) {
      energy += power[i];
    }
    energy_db[band] = db(energy);
    sum += energy;
  }
  const float total_db = db(sum);
  follow_noise(energy_db, total_db);
  ++frames_;

  std::array<float, kBands> rise_db;
  for (size_t i = 0; i < kBands; ++i) rise_db[i] = std::clamp(energy_db[i] - noise_db_[i], 0.0f, 30.0f);
  float low = 0, high = 0;
  for (size_t i = 0; i < kBands / 2; ++i) low += rise_db[i] / 5, high += rise_db[i + kBands / 2] / 5;
  std::ranges::partial_sort(rise_db, rise_db.begin() + 3, std::greater());
  const float top = (rise_db[0] + rise_db[1] + rise_db[2]) / 3;

  // Autocorrelation of what lies between 80 and 2500 Hz: the spectrum of its power.
  std::array<kiss_fft_cpx, kBins> voiced{};
  for (size_t i = 3; i <= 80; ++i) voiced[i].r = power[i];
  std::array<float, kWindow> correlation;
  kiss_fftri(transforms_->inverse, voiced.data(), correlation.data());
  const float peak = *std::max_element(correlation.begin() + kShortestLag, correlation.begin() + kLongestLag);
  const float periodic = peak / (correlation[0] + 1e-6f);

  float log_sum = 0, linear_sum = 0;
  constexpr size_t kFirst = 4, kLast = 225;
  for (size_t i = kFirst; i < kLast; ++i) {
    log_sum += std::log(power[i] + 1e-12f);
    linear_sum += power[i] + 1e-12f;
  }
  constexpr float kCount = kLast - kFirst;
  const float flat_db = 10 * std::log10(std::exp(log_sum / kCount) / (linear_sum / kCount));

  const float logit = kBias + kWeightLow * low + kWeightHigh * high + kWeightTop * top + kWeightPeriodic * periodic +
                      kWeightFlat * flat_db + kWeightLevel * std::clamp(total_db, -80.0f, -10.0f) +
                      kWeightLowCapped * std::min(low, 10.0f);
  const float probability = 1 / (1 + std::exp(-logit));
  smoothed_ += 0.5f * (probability - smoothed_);
  return smoothed_;
}

}  // namespace calliope::hearing
