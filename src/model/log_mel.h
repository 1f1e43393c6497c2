#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// The fields of preprocessor_config.json that concern sound.
struct LogMelConfig {
  int64_t mels = 80;            ///< feature_size
  int64_t n_fft = 400;          ///< window and transform length in samples, even
  int64_t hop_samples = 160;    ///< hop_length
  int64_t sample_rate = 16000;  ///< sampling_rate
  float padding_value = 0;      ///< what shorter clips of a batch are padded with
  /// What sounds are like that the model was trained with; they are made so before anything else, and not by transformers.
  float sound_peak = 0;         ///< the loudest sample; 0: as they come
  int64_t sound_margin_ms = 0;  ///< of silence around them, at least
};

/// Reads a preprocessor_config.json (flat), or a processor_config.json with a "feature_extractor" object.
Result<LogMelConfig> parse_log_mel_config(std::string_view json);

/// Log-mel features as WhisperFeatureExtractor computes them inside Qwen3OmniMoeProcessor: Hann window, centred frames
/// with reflected borders, Slaney mel filters up to 8 kHz, log10, everything more than 8 below the clip's loudest
/// raised to that, (x + 4) / 4. One frame each hop_samples; the frame that starts at the very end is dropped.
class LogMel {
 public:
  explicit LogMel(const LogMelConfig& config);

  const LogMelConfig& config() const;
  /// The shortest clip there are features for: the border is reflected, so n_fft / 2 + 1 samples.
  int64_t min_samples() const;

  /// Features [frames, mels] of one clip: frames = samples / hop_samples. Too short or not finite: invalid_argument.
  Result<tensor::Tensor> compute(std::span<const float> samples) const;

  /// Features of all clips of one prompt, each [frames, mels]. As the processor does, every clip is padded to the
  /// longest one first, so that a shorter clip ends in padding_value instead of a reflection and has ceil(samples /
  /// hop_samples) frames. One clip alone gives what compute() gives.
  Result<std::vector<tensor::Tensor>> compute(std::span<const std::span<const float>> clips) const;

  // The parts of compute(), for a sound that comes piece by piece (model/log_mel_stream.h).

  /// Frames of a clip of `samples` samples that is padded to `padded_samples`, and how many frames, padding included,
  /// its loudest is sought in.
  struct Extent {
    int64_t frames = 0, heard = 0;
  };
  Result<Extent> extent(int64_t samples, int64_t padded_samples) const;
  static Result<void> check_finite(std::span<const float> samples);
  /// log10 of the mel energies of out.rows frames from `first` on, [frames, mels]. Frame t looks at n_fft / 2 samples
  /// on each side of t hop_samples.
  void energies(std::span<const float> samples, int64_t padded_samples, int64_t first, tensor::Rows out) const;
  /// Turns energies into features: `loudest` is the largest of the whole clip.
  static void scale(std::span<float> energies, float loudest);

 private:
  Result<tensor::Tensor> compute(std::span<const float> samples, int64_t padded_samples) const;
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calliope::model
