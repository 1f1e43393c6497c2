#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::media {

/// How a sound is packed. pcm16: bare little-endian 16-bit samples; opus in Ogg, aac in ADTS.
enum class SoundFormat { wav, pcm16, mp3, opus, aac, flac };

/// The header of a RIFF file of mono 16-bit samples. No size: it is not known yet, and the sound goes on to the end of
/// the file.
std::vector<uint8_t> wav_header(int rate, std::optional<uint32_t> data_bytes);

/// Packs a mono sound that comes in pieces; pieces of any size give the same bytes as the whole.
class SoundWriter {
 public:
  static constexpr double kSlowest = 0.25, kFastest = 4;

  struct Options {
    SoundFormat format = SoundFormat::wav;
    int rate = 24000;  ///< of the samples, and of what is written
    double speed = 1;  ///< how fast it is to sound, at the same pitch: [kSlowest, kFastest]
  };
  /// unsupported when FFmpeg was built without the encoder.
  static Result<std::unique_ptr<SoundWriter>> open(const Options& options);
  ~SoundWriter();
  SoundWriter(const SoundWriter&) = delete;

  /// Appends the bytes that are final with these samples, in [-1, 1]; what lies outside is clipped. internal when the
  /// encoder fails.
  Result<void> push(std::span<const float> samples, std::vector<uint8_t>& out);
  /// Appends what is left. Once, and nothing after it.
  Result<void> finish(std::vector<uint8_t>& out);

 private:
  struct Encoder;
  explicit SoundWriter(const Options& options);
  Result<void> pack(std::span<const float> samples, std::vector<uint8_t>& out);

  const Options options_;
  bool begun_ = false;
  std::vector<float> stretched_;
  struct FreeSpeed {
    void operator()(void* stream) const;
  };
  std::unique_ptr<void, FreeSpeed> speed_;  // null: as it is
  std::unique_ptr<Encoder> encoder_;        // null: bare samples
};

}  // namespace calliope::media
