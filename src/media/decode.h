#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace calliope::media {

/// A decoded picture: 8-bit RGB, row by row, upright.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

/// What one file may cost; checked before anything of that size is allocated.
struct DecodeLimits {
  size_t picture_bytes = size_t{32} << 20;
  int64_t pixels = 50'000'000;
  int side = 32768;
  size_t sound_bytes = size_t{64} << 20;
  int sound_seconds = 600;
};

inline constexpr int kSoundRate = 16000;

/// JPEG, PNG, WebP, HEIC/HEIF/AVIF, GIF and BMP, told apart by their bytes; EXIF orientation applied, transparency on
/// white, the first frame of an animation. too_large over the limits, invalid_argument for what is broken or no
/// picture. In this process: use DecodePool for bytes from outside.
Result<Picture> decode_picture(std::span<const uint8_t> bytes, const DecodeLimits& limits = {});

/// Any sound FFmpeg reads (WAV, MP3, M4A, Ogg, WebM, FLAC), as mono samples at kSoundRate in [-1, 1]. too_large over
/// the limits, invalid_argument for what is broken, empty or has no sound. In this process, as above.
Result<std::vector<float>> decode_sound(std::span<const uint8_t> bytes, const DecodeLimits& limits = {});

}  // namespace calliope::media
