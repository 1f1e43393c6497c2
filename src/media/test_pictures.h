#pragma once

#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>
#include <webp/encode.h>

#include <functional>
#include <string_view>
#include <vector>

#include "media/test_files.h"

// Pictures for the tests of this room, by the libraries' encoders.
namespace calliope::media::test {

struct PngForm {
  int colours = PNG_COLOR_TYPE_RGB;
  int bits = 8;
  bool interlaced = false;
  std::function<void(png_structp, png_infop)> more = {};
};

/// `rows`: the pixels as PNG packs them.
inline Bytes png(int width, int height, const Bytes& rows, const PngForm& form = {}) {
  Bytes out;
  png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(writer);
  const auto append = [](png_structp self, png_bytep bytes, size_t size) {
    static_cast<Bytes*>(png_get_io_ptr(self))
        ->insert(static_cast<Bytes*>(png_get_io_ptr(self))->end(), bytes, bytes + size);
  };
  png_set_write_fn(writer, &out, append, nullptr);
  png_set_IHDR(writer, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), form.bits, form.colours,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (form.more) form.more(writer, info);
  png_write_info(writer, info);
  std::vector<png_bytep> lines;
  const size_t stride = rows.size() / size_t(height);
  for (int y = 0; y < height; ++y) lines.push_back(const_cast<png_bytep>(rows.data() + size_t(y) * stride));
  png_write_image(writer, lines.data());
  png_write_end(writer, info);
  png_destroy_write_struct(&writer, &info);
  return out;
}

inline Bytes jpeg(int width, int height, const Bytes& pixels, int format = TJPF_RGB, int flags = 0,
                  int subsampling = TJSAMP_444) {
  tjhandle handle = tjInitCompress();
  unsigned char* file = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, pixels.data(), width, 0, height, format, &file, &size, subsampling, 97, flags), 0);
  Bytes out(file, file + size);
  tjFree(file);
  tjDestroy(handle);
  return out;
}

inline Bytes webp(int width, int height, const Bytes& rgba) {
  uint8_t* file = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(rgba.data(), width, height, width * 4, &file);
  Bytes out(file, file + size);
  WebPFree(file);
  return out;
}

/// A TIFF with one entry: the orientation. Big or little endian.
inline Bytes exif(int orientation, bool little) {
  Bytes out;
  const auto word = [&](int value, int size) {
    for (int i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * (little ? i : size - 1 - i)));
  };
  out << (little ? "II" : "MM");
  word(42, 2), word(8, 4), word(2, 2);
  word(0x010f, 2), word(2, 2), word(4, 4), word(0, 4);
  word(0x0112, 2), word(3, 2), word(1, 4), word(orientation, 2), word(0, 2);
  return out;
}

inline Bytes chunk(std::string_view type, const Bytes& body) {
  Bytes out;
  out << type;
  put(out, static_cast<uint32_t>(body.size()));
  out.insert(out.end(), body.begin(), body.end());
  if (body.size() % 2) out.push_back(0);
  return out;
}

inline Bytes riff(const std::vector<Bytes>& chunks) {
  Bytes body;
  body << "WEBP";
  for (const Bytes& each : chunks) body.insert(body.end(), each.begin(), each.end());
  return chunk("RIFF", body);
}

inline void put24(Bytes& out, int value) {
  for (int shift = 0; shift < 24; shift += 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

inline Bytes webp_canvas(int flags, int width, int height) {
  Bytes body{static_cast<uint8_t>(flags), 0, 0, 0};
  put24(body, width - 1);
  put24(body, height - 1);
  return chunk("VP8X", body);
}

}  // namespace calliope::media::test
