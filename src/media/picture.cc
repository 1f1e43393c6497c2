#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "media/decode.h"
#include "media/picture_formats.h"

namespace calliope::media {
namespace detail {

std::unexpected<Error> broken(const char* what, const char* detail) {
  std::string message = std::string("this is not a readable ") + what;
  if (detail && *detail) message += std::string(": ") + detail;
  return fail(ErrorCode::invalid_argument, message);
}

Result<void> check_size(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width <= 0 || height <= 0) return fail(ErrorCode::invalid_argument, "the picture is empty");
  if (width > limits.side || height > limits.side || width * height > limits.pixels) {
    return fail(ErrorCode::too_large, "the picture is " + std::to_string(width) + " x " + std::to_string(height) +
                                          " pixels; at most " + std::to_string(limits.pixels / 1'000'000) +
                                          " megapixels are read, and " + std::to_string(limits.side) +
                                          " pixels a side");
  }
  return {};
}

Picture oriented(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const bool swap = orientation >= 5;
  Picture out{swap ? picture.height : picture.width, swap ? picture.width : picture.height,
              std::vector<uint8_t>(picture.rgb.size())};
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const int right = picture.width - 1 - x, below = picture.height - 1 - y;
      int tx = x, ty = y;
      switch (orientation) {
        case 2: tx = right; break;
        case 3: tx = right, ty = below; break;
        case 4: ty = below; break;
        case 5: tx = y, ty = x; break;
        case 6: tx = below, ty = x; break;
        case 7: tx = below, ty = right; break;
        case 8: tx = y, ty = right; break;
        default: break;
      }
      std::memcpy(&out.rgb[(size_t(ty) * size_t(out.width) + size_t(tx)) * 3],
                  &picture.rgb[(size_t(y) * size_t(picture.width) + size_t(x)) * 3], 3);
    }
  }
  return out;
}

void flatten_alpha(std::span<const uint8_t> rgba, Picture& picture) {
  picture.rgb.resize(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size() / 4; ++i) {
    const unsigned alpha = rgba[i * 4 + 3];
    for (size_t c = 0; c < 3; ++c)
      picture.rgb[i * 3 + c] = static_cast<uint8_t>((rgba[i * 4 + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
}

}  // namespace detail

Result<Picture> decode_picture(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  if (bytes.empty()) return fail(ErrorCode::invalid_argument, "the picture has no bytes");
  if (bytes.size() > limits.picture_bytes) {
    return fail(ErrorCode::too_large, "the picture file has " + std::to_string(bytes.size() >> 20) + " MiB; at most " +
                                          std::to_string(limits.picture_bytes >> 20) + " MiB are read");
  }
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 16));
  if (head.starts_with("\xFF\xD8\xFF")) return detail::decode_jpeg(bytes, limits);
  if (head.starts_with("\x89PNG\r\n\x1a\n")) return detail::decode_png(bytes, limits);
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP")
    return detail::decode_webp(bytes, limits);
  if (head.size() >= 12 && head.substr(4, 4) == "ftyp") return detail::decode_heif(bytes, limits);
  if (head.starts_with("GIF8") || head.starts_with("BM")) return detail::decode_by_ffmpeg(bytes, limits);
  return fail(ErrorCode::invalid_argument, "these bytes are no JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP picture");
}

}  // namespace calliope::media
