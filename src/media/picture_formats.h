#pragma once

#include "media/decode.h"

namespace calliope::media::detail {

Result<Picture> decode_jpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits);
Result<Picture> decode_png(std::span<const uint8_t> bytes, const DecodeLimits& limits);
Result<Picture> decode_webp(std::span<const uint8_t> bytes, const DecodeLimits& limits);
Result<Picture> decode_heif(std::span<const uint8_t> bytes, const DecodeLimits& limits);
/// GIF, BMP and what else FFmpeg's image decoders know.
Result<Picture> decode_by_ffmpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits);

/// too_large when a picture of that size is over the limits, invalid_argument when it is empty.
Result<void> check_size(int64_t width, int64_t height, const DecodeLimits& limits);

/// EXIF orientation (1 to 8), 1 when the file says nothing; `tiff` may begin with the Exif mark.
int tiff_orientation(std::span<const uint8_t> tiff);
int jpeg_orientation(std::span<const uint8_t> jpeg);
int png_orientation(std::span<const uint8_t> png);
int webp_orientation(std::span<const uint8_t> webp);
/// Turns a picture upright.
Picture oriented(Picture picture, int orientation);
/// RGBA over white.
void flatten_alpha(std::span<const uint8_t> rgba, Picture& picture);

std::unexpected<Error> broken(const char* what, const char* detail = nullptr);

}  // namespace calliope::media::detail
