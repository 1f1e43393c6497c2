#include <algorithm>
#include <cstring>
#include <string_view>

#include "media/picture_formats.h"

namespace calliope::media::detail {

namespace {

using Bytes = std::span<const uint8_t>;

bool starts_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

uint32_t u32_big(Bytes bytes) { return uint32_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]; }
uint32_t u32_little(Bytes bytes) { return uint32_t{bytes[3]} << 24 | bytes[2] << 16 | bytes[1] << 8 | bytes[0]; }

// Calls body(type, bytes) for every chunk of type and length (in that order, or the other way round) and its bytes.
template <class Body>
void each_chunk(Bytes file, size_t at, bool png, Body body) {
  while (at <= file.size() && file.size() - at >= 8) {
    const Bytes head = file.subspan(at, 8);
    const uint64_t size = png ? u32_big(head) : u32_little(head.subspan(4));
    const std::string_view type(reinterpret_cast<const char*>(head.data()) + (png ? 4 : 0), 4);
    at += 8;
    body(type, file.subspan(at, std::min<uint64_t>(size, file.size() - at)));
    at += size + (png ? 4 : size % 2);  // PNG has a checksum, WebP is even
  }
}

}  // namespace

int tiff_orientation(Bytes tiff) {
  if (starts_with(tiff, std::string_view("Exif\0\0", 6))) tiff = tiff.subspan(6);
  if (tiff.size() < 8) return 1;
  const bool little = tiff[0] == 'I';
  const auto u16 = [&](size_t i) -> uint32_t {
    if (i + 2 > tiff.size()) return 0;
    return little ? tiff[i] | tiff[i + 1] << 8 : tiff[i] << 8 | tiff[i + 1];
  };
  const size_t directory = little ? u16(4) | u16(6) << 16 : u16(4) << 16 | u16(6);
  const size_t entries = u16(directory);
  for (size_t entry = directory + 2; entry < directory + 2 + entries * 12 && entry + 12 <= tiff.size(); entry += 12) {
    const uint32_t value = u16(entry + 8);
    if (u16(entry) == 0x0112 && value >= 1 && value <= 8) return static_cast<int>(value);
  }
  return 1;
}

int jpeg_orientation(Bytes jpeg) {
  for (size_t at = 2; at + 4 <= jpeg.size() && jpeg[at] == 0xFF && jpeg[at + 1] != 0xDA;) {
    const size_t length = std::max<size_t>(2, size_t{jpeg[at + 2]} << 8 | jpeg[at + 3]);  // with its own two bytes
    const Bytes body = jpeg.subspan(at + 4, std::min(length - 2, jpeg.size() - at - 4));
    if (jpeg[at + 1] == 0xE1 && starts_with(body, std::string_view("Exif\0\0", 6))) return tiff_orientation(body);
    at += 2 + length;
  }
  return 1;
}

int png_orientation(Bytes png) {
  int orientation = 1;
  each_chunk(png, 8, true, [&](std::string_view type, Bytes body) {
    if (type == "eXIf") orientation = tiff_orientation(body);
  });
  return orientation;
}

int webp_orientation(Bytes webp) {
  int orientation = 1;
  each_chunk(webp, 12, false, [&](std::string_view type, Bytes body) {
    if (type == "EXIF") orientation = tiff_orientation(body);
  });
  return orientation;
}

}  // namespace calliope::media::detail
