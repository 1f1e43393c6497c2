#include "model/log_mel.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/thread_pool.h"
#include "model/preprocessor_json.h"

namespace calliope::model {
namespace {

constexpr double kHighestHz = 8000.0;  // fixed in WhisperFeatureExtractor
constexpr float kFloor = 1e-10f;

// Slaney's scale: linear below 1 kHz, 27 steps per factor of 6.4 above (audio_utils.hertz_to_mel).
double hz_to_mel(double hz) { return hz < 1000 ? 3 * hz / 200 : 15 + std::log(hz / 1000) * 27 / std::log(6.4); }
double mel_to_hz(double mel) { return mel < 15 ? 200 * mel / 3 : 1000 * std::exp(std::log(6.4) / 27 * (mel - 15)); }

// One triangle: weights of the bins [first, first + weights.size()), all other bins have none.
struct MelFilter {
  int64_t first = 0;
  std::vector<float> weights;
};

// audio_utils.mel_filter_bank(norm="slaney", mel_scale="slaney")
std::vector<MelFilter> mel_filters(const LogMelConfig& config) {
  const int64_t bins = config.n_fft / 2 + 1;
  std::vector<double> edges;
  const double top = hz_to_mel(kHighestHz);
  for (int64_t i = 0; i < config.mels + 2; ++i) edges.push_back(mel_to_hz(top * double(i) / double(config.mels + 1)));
  std::vector<MelFilter> filters(static_cast<size_t>(config.mels));
  for (size_t m = 0; m < filters.size(); ++m) {
    const double low = edges[m], peak = edges[m + 1], high = edges[m + 2];
    for (int64_t bin = 0; bin < bins; ++bin) {
      const double hz = double(config.sample_rate / 2) * double(bin) / double(bins - 1);
      const double weight = std::min((hz - low) / (peak - low), (high - hz) / (high - peak));
      if (weight <= 0) continue;
      if (filters[m].weights.empty()) filters[m].first = bin;
      filters[m].weights.push_back(static_cast<float>(weight * 2 / (high - low)));
    }
  }
  return filters;
}

// A clip as the transform sees it: padded at its end, then reflected at both borders.
struct PaddedClip {
  std::span<const float> samples;
  int64_t length = 0;  ///< with padding
  float padding = 0;
  float operator[](int64_t i) const {
    if (i < 0) i = -i;
    if (i >= length) i = 2 * (length - 1) - i;
    return i < static_cast<int64_t>(samples.size()) ? samples[static_cast<size_t>(i)] : padding;
  }
};

}  // namespace

Result<LogMelConfig> parse_log_mel_config(std::string_view json) {
  TRY(auto fields, PreprocessorFields::parse(json, "feature_extractor"));
  LogMelConfig config;
  double dither = 0, padding = 0, peak = 0;
  fields.read("feature_size", config.mels, 1, 1024);
  fields.read("n_fft", config.n_fft, 2, 65536);
  fields.read("hop_length", config.hop_samples, 1, 65536);
  fields.read("sampling_rate", config.sample_rate, 1000, 384000);
  fields.read("padding_value", padding);
  fields.read("dither", dither);
  fields.read("sound_peak", peak);
  fields.read("sound_margin_ms", config.sound_margin_ms, 0, 1000);
  TRY_VOID(fields.done());
  config.padding_value = static_cast<float>(padding);
  config.sound_peak = static_cast<float>(peak);
  if (!(peak >= 0 && peak <= 1)) return fail(ErrorCode::invalid_argument, "preprocessor_config.json: sound_peak must be between 0 and 1", "sound_peak");
  if (config.n_fft % 2 != 0)
    return fail(ErrorCode::unsupported, "preprocessor_config.json: n_fft must be even", "n_fft");
  if (dither != 0) return fail(ErrorCode::unsupported, "preprocessor_config.json: dither must be 0", "dither");
  return config;
}

struct LogMel::Parts {
  LogMelConfig config;
  std::vector<float> window;  // Hann, periodic
  std::vector<MelFilter> filters;

  // log10 of the mel energies of frame t, centred on sample t * hop.
  void frame(const PaddedClip& clip, int64_t t, kiss_fftr_cfg fft, std::span<float> time,
             std::span<kiss_fft_cpx> spectrum, float* out) const {
    const int64_t first = t * config.hop_samples - config.n_fft / 2;
    for (int64_t i = 0; i < config.n_fft; ++i) time[size_t(i)] = clip[first + i] * window[size_t(i)];
    kiss_fftr(fft, time.data(), spectrum.data());
    for (kiss_fft_cpx& bin : spectrum) bin.r = bin.r * bin.r + bin.i * bin.i;
    for (size_t m = 0; m < filters.size(); ++m) {
      float energy = 0;
      const kiss_fft_cpx* bins = spectrum.data() + filters[m].first;
      for (size_t i = 0; i < filters[m].weights.size(); ++i) energy += filters[m].weights[i] * bins[i].r;
      out[m] = std::log10(std::max(energy, kFloor));
    }
  }
};

LogMel::LogMel(const LogMelConfig& config) {
  Parts parts{.config = config, .window = {}, .filters = mel_filters(config)};
  for (int64_t i = 0; i < config.n_fft; ++i) {
    const double turn = 2 * std::numbers::pi * double(i) / double(config.n_fft);
    parts.window.push_back(static_cast<float>(0.5 - 0.5 * std::cos(turn)));
  }
  parts_ = std::make_shared<const Parts>(std::move(parts));
}

const LogMelConfig& LogMel::config() const { return parts_->config; }

int64_t LogMel::min_samples() const { return std::max(parts_->config.n_fft / 2 + 1, parts_->config.hop_samples); }

Result<LogMel::Extent> LogMel::extent(int64_t samples, int64_t padded_samples) const {
  const LogMelConfig& config = parts_->config;
  if (padded_samples <= config.n_fft / 2) {
    return fail(ErrorCode::invalid_argument, "audio too short: " + std::to_string(samples) + " samples, at least " +
                                                 std::to_string(config.n_fft / 2 + 1) + " are needed");
  }
  const int64_t all = padded_samples / config.hop_samples;
  const int64_t valid = std::min(all, (samples + config.hop_samples - 1) / config.hop_samples);
  if (valid == 0) return fail(ErrorCode::invalid_argument, "audio too short: less than one frame");
  // The clamp looks at padding frames as well; only those that reach back into the sound can matter.
  return Extent{valid, config.padding_value != 0 ? all : std::min(all, valid + config.n_fft / config.hop_samples + 1)};
}

Result<void> LogMel::check_finite(std::span<const float> samples) {
  if (std::ranges::all_of(samples, [](float s) { return std::isfinite(s); })) return {};
  return fail(ErrorCode::invalid_argument, "audio holds samples that are not finite");
}

void LogMel::energies(std::span<const float> samples, int64_t padded_samples, int64_t first, tensor::Rows out) const {
  const Parts& parts = *parts_;
  const PaddedClip clip{samples, padded_samples, parts.config.padding_value};
  parallel_for(out.rows, 64, [&](int64_t begin, int64_t end) {
    const kiss_fftr_cfg fft = kiss_fftr_alloc(static_cast<int>(parts.config.n_fft), 0, nullptr, nullptr);
    CHECK(fft);
    std::vector<float> time(static_cast<size_t>(parts.config.n_fft));
    std::vector<kiss_fft_cpx> spectrum(static_cast<size_t>(parts.config.n_fft / 2 + 1));
    for (int64_t t = begin; t < end; ++t) parts.frame(clip, first + t, fft, time, spectrum, out.row(t));
    kiss_fftr_free(fft);
  });
}

void LogMel::scale(std::span<float> energies, float loudest) {
  const float quietest = loudest - 8.0f;
  for (float& value : energies) value = (std::max(value, quietest) + 4.0f) / 4.0f;
}

Result<tensor::Tensor> LogMel::compute(std::span<const float> samples) const {
  return compute(samples, static_cast<int64_t>(samples.size()));
}

Result<tensor::Tensor> LogMel::compute(std::span<const float> samples, int64_t padded_samples) const {
  TRY(const Extent extent, this->extent(static_cast<int64_t>(samples.size()), padded_samples));
  TRY_VOID(check_finite(samples));
  tensor::Tensor mel({extent.heard, config().mels});
  energies(samples, padded_samples, 0, mel.rows());
  const float loudest = std::ranges::max(mel.span());
  mel.resize({extent.frames, config().mels});
  scale(mel.span(), loudest);
  return mel;
}

Result<std::vector<tensor::Tensor>> LogMel::compute(std::span<const std::span<const float>> clips) const {
  int64_t longest = 0;
  for (const auto& clip : clips) longest = std::max(longest, static_cast<int64_t>(clip.size()));
  std::vector<tensor::Tensor> features;
  for (const auto& clip : clips) {
    TRY(auto mel, compute(clip, longest));
    features.push_back(std::move(mel));
  }
  return features;
}

}  // namespace calliope::model
