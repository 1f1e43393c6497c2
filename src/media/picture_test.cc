#include <gtest/gtest.h>

#include "media/decode.h"
#include "media/test_pictures.h"

namespace calliope::media {
namespace {

using namespace test;

// Where a pixel of the upright picture lies in a stored one of width x height.
std::pair<int, int> stored_at(int orientation, int x, int y, int width, int height) {
  switch (orientation) {
    case 2: return {width - 1 - x, y};
    case 3: return {width - 1 - x, height - 1 - y};
    case 4: return {x, height - 1 - y};
    case 5: return {y, x};
    case 6: return {y, height - 1 - x};
    case 7: return {width - 1 - y, height - 1 - x};
    case 8: return {width - 1 - y, x};
    default: return {x, y};
  }
}

void expect_pixels(const Result<Picture>& picture, int width, int height, const Bytes& pixels, int within = 0) {
  ASSERT_TRUE(picture) << picture.error().message;
  ASSERT_EQ(picture->width, width);
  ASSERT_EQ(picture->height, height);
  ASSERT_EQ(picture->rgb.size(), pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) ASSERT_NEAR(picture->rgb[i], pixels[i], within) << "at byte " << i;
}

void expect_upright(const Result<Picture>& picture, int orientation, int width, int height, const Bytes& stored,
                    int within) {
  const bool turned = orientation >= 5;
  Bytes pixels;
  for (int y = 0; y < (turned ? width : height); ++y) {
    for (int x = 0; x < (turned ? height : width); ++x) {
      const auto [from_x, from_y] = stored_at(orientation, x, y, width, height);
      for (int c = 0; c < 3; ++c) pixels.push_back(stored[size_t((from_y * width + from_x) * 3 + c)]);
    }
  }
  expect_pixels(picture, turned ? height : width, turned ? width : height, pixels, within);
}

// Every beginning of a file is an error or a picture of the right size.
void expect_truncation_survived(const Bytes& file, int width, int height, bool strict = true) {
  for (size_t size = 0; size < file.size(); ++size) {
    const auto picture = decode_picture(std::span(file).first(size));
    if (picture) {
      EXPECT_FALSE(strict && size + 24 < file.size())
          << size << " of " << file.size() << " bytes are taken for a picture";
      EXPECT_EQ(picture->width, width);
      EXPECT_EQ(picture->height, height);
    } else {
      EXPECT_TRUE(picture.error().code == ErrorCode::invalid_argument) << picture.error().message;
      EXPECT_FALSE(picture.error().message.empty());
    }
  }
}

Bytes smooth(int width, int height) {
  Bytes pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {x * 255 / width, y * 255 / height, 128}) pixels.push_back(static_cast<uint8_t>(value));
    }
  }
  return pixels;
}

TEST(PictureBmp, OddSizesAndTopDown) {
  for (int width : {1, 2, 3, 5, 64}) {
    for (int height : {1, 7})
      expect_pixels(decode_picture(test::bmp(width, height)), width, height, test::rgb(width, height));
  }
  Bytes file = test::bmp(4, 1);  // one row is the same from both sides
  file[22] = file[23] = file[24] = file[25] = 0xff;
  expect_pixels(decode_picture(file), 4, 1, test::rgb(4, 1));
  expect_truncation_survived(test::bmp(5, 3), 5, 3);
}

TEST(PictureGif, FirstFrameAndTransparency) {
  // 2 x 2, four colours, and a second frame that is all black.
  const auto gif = [](bool transparent) {
    Bytes out;
    out << "GIF89a";
    for (const uint8_t byte : {2, 0, 2, 0, 0x91, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9}) out.push_back(byte);
    for (int frame = 0; frame < 2; ++frame) {
      for (const int byte : {0x21, 0xf9, 4, transparent ? 1 : 0, 10, 0, 3, 0, 0x2c, 0, 0, 0, 0, 2, 0, 2, 0, 0})
        out.push_back(uint8_t(byte));
      // LZW, three bits a code: clear, pixels, end.
      const int pixels[2][4] = {{0, 1, 2, 3}, {3, 3, 3, 3}};
      uint32_t bits = 4, at = 3;
      for (const int pixel : pixels[frame]) bits |= uint32_t(pixel) << at, at += at < 12 ? 3 : 4;
      // The table reaches eight entries after the fourth pixel, so the end has four bits.
      bits |= 5u << at;
      out.push_back(2), out.push_back(3);
      for (int shift = 0; shift < 24; shift += 8) out.push_back(uint8_t(bits >> shift));
      out.push_back(0);
    }
    out << ";";
    return out;
  };
  expect_pixels(decode_picture(gif(false)), 2, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9});
  expect_pixels(decode_picture(gif(true)), 2, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255});
  expect_truncation_survived(gif(false), 2, 2, false);
}

TEST(PicturePng, ColoursOfEveryForm) {
  const int width = 9, height = 5;
  const Bytes rgb = test::rgb(width, height);
  for (const bool interlaced : {false, true}) {
    expect_pixels(decode_picture(png(width, height, rgb, {.interlaced = interlaced})), width, height, rgb);
    Bytes wide, grey, grey_rgb, bits, bits_rgb, indices, indexed_rgb;
    for (const uint8_t value : rgb) wide.push_back(value), wide.push_back(value);
    for (int i = 0; i < width * height; ++i) {
      grey.push_back(rgb[size_t(i)]);
      indices.push_back(uint8_t(i % 3));
      const uint8_t palette[3][3] = {{10, 20, 30}, {200, 100, 0}, {0, 0, 0}};
      for (int c = 0; c < 3; ++c)
        grey_rgb.push_back(rgb[size_t(i)]), indexed_rgb.push_back(i % 3 == 2 ? 255 : palette[i % 3][c]);
    }
    for (int y = 0; y < height; ++y) {
      bits.push_back(0b10110011), bits.push_back(y % 2 ? 0x80 : 0);
      for (int x = 0; x < width; ++x) {
        const bool on = x < 8 ? 0b10110011 >> (7 - x) & 1 : y % 2;
        bits_rgb.insert(bits_rgb.end(), 3, on ? 255 : 0);
      }
    }
    expect_pixels(decode_picture(png(width, height, wide, {.bits = 16, .interlaced = interlaced})), width, height, rgb,
                  1);
    expect_pixels(decode_picture(png(width, height, grey, {.colours = PNG_COLOR_TYPE_GRAY, .interlaced = interlaced})),
                  width, height, grey_rgb);
    expect_pixels(
        decode_picture(png(width, height, bits, {.colours = PNG_COLOR_TYPE_GRAY, .bits = 1, .interlaced = interlaced})),
        width, height, bits_rgb);
    const auto palette = [](png_structp writer, png_infop info) {
      const png_color colours[] = {{10, 20, 30}, {200, 100, 0}, {0, 0, 0}};
      png_set_PLTE(writer, info, colours, 3);
      const png_byte alpha[] = {255, 255, 0};
      png_set_tRNS(writer, info, alpha, 3, nullptr);
    };
    expect_pixels(decode_picture(png(width, height, indices,
                                     {.colours = PNG_COLOR_TYPE_PALETTE, .interlaced = interlaced, .more = palette})),
                  width, height, indexed_rgb);
  }
}

TEST(PicturePng, TransparencyLiesOnWhite) {
  const Bytes rgba = {10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128, 255, 0, 100, 51};
  const Bytes pixels = {10, 20, 30, 255, 255, 255, 127, 127, 127, 255, 204, 224};
  expect_pixels(decode_picture(png(4, 1, rgba, {.colours = PNG_COLOR_TYPE_RGBA})), 4, 1, pixels);
  expect_pixels(decode_picture(webp(4, 1, rgba)), 4, 1, pixels);
}

TEST(PicturePng, CutOffAnywhereIsAnError) { expect_truncation_survived(png(9, 5, test::rgb(9, 5)), 9, 5); }

TEST(PicturePng, EveryOrientation) {
  for (int orientation = 0; orientation <= 9; ++orientation) {
    Bytes tag = exif(orientation, orientation % 2);
    const auto more = [&](png_structp writer, png_infop info) {
      png_set_eXIf_1(writer, info, static_cast<png_uint_32>(tag.size()), tag.data());
    };
    expect_upright(decode_picture(png(7, 4, test::rgb(7, 4), {.more = more})),
                   orientation > 8 ? 1 : std::max(orientation, 1), 7, 4, test::rgb(7, 4), 0);
  }
}

TEST(PictureJpeg, FormsAndSizes) {
  for (const auto& [width, height] : {std::pair{1, 1}, {8, 8}, {17, 9}, {100, 33}}) {
    const Bytes pixels = smooth(width, height);
    expect_pixels(decode_picture(jpeg(width, height, pixels)), width, height, pixels, 6);
    expect_pixels(decode_picture(jpeg(width, height, pixels, TJPF_RGB, TJFLAG_PROGRESSIVE)), width, height, pixels, 6);
    Bytes grey, grey_rgb;
    for (int i = 0; i < width * height; ++i) {
      grey.push_back(pixels[size_t(i) * 3]);
      grey_rgb.insert(grey_rgb.end(), 3, grey.back());
    }
    expect_pixels(decode_picture(jpeg(width, height, grey, TJPF_GRAY, 0, TJSAMP_GRAY)), width, height, grey_rgb, 6);
  }
}

TEST(PictureJpeg, InksBecomeLight) {
  Bytes ink;
  for (int i = 0; i < 64; ++i) ink.insert(ink.end(), {200, 100, 50, 255});
  for (int i = 0; i < 64; ++i) ink.insert(ink.end(), {255, 255, 255, 80});
  Bytes pixels;
  for (int i = 0; i < 64; ++i) pixels.insert(pixels.end(), {200, 100, 50});
  pixels.insert(pixels.end(), 64 * 3, 80);
  Bytes file = jpeg(8, 16, ink, TJPF_CMYK);
  expect_pixels(decode_picture(file), 8, 16, pixels, 5);
}

TEST(PictureJpeg, EveryOrientation) {
  const int width = 24, height = 16;
  const Bytes plain = jpeg(width, height, smooth(width, height));
  for (int orientation = 0; orientation <= 9; ++orientation) {
    for (const bool little : {false, true}) {
      const Bytes tag = exif(orientation, little);
      Bytes file(plain.begin(), plain.begin() + 2);
      file << std::string_view("\xff\xe1\x00", 3);
      file.push_back(static_cast<uint8_t>(8 + tag.size()));
      file << std::string_view("Exif\0\0", 6);
      file.insert(file.end(), tag.begin(), tag.end());
      file.insert(file.end(), plain.begin() + 2, plain.end());
      expect_upright(decode_picture(file), orientation > 8 ? 1 : std::max(orientation, 1), width, height,
                     smooth(width, height), 8);
      if (orientation != 6) continue;
      expect_truncation_survived(file, height, width);
    }
  }
}

TEST(PictureJpeg, StrayBytesAreForgivenAndMissingOnesAreNot) {
  Bytes file = jpeg(64, 64, smooth(64, 64));
  const Bytes whole = file;
  file.resize(file.size() / 2);
  EXPECT_NE(decode_picture(file).error().message.find("damaged or cut off"), std::string::npos);
  file.insert(file.end(), {0xff, 0xd9});
  EXPECT_FALSE(decode_picture(file));
  Bytes stray(whole.begin(), whole.end() - 2);
  stray.insert(stray.end(), {1, 2, 3, 0xff, 0xd9});
  expect_pixels(decode_picture(stray), 64, 64, smooth(64, 64), 6);
}

TEST(PictureWebp, StillAnimatedAndTurned) {
  const int width = 6, height = 3;
  Bytes rgba, black(size_t(width * height) * 4, 0);
  const Bytes pixels = test::rgb(width, height);
  for (size_t i = 0; i < size_t(width * height); ++i) {
    rgba.insert(rgba.end(), {pixels[i * 3], pixels[i * 3 + 1], pixels[i * 3 + 2], 255});
    black[i * 4 + 3] = 255;
  }
  const Bytes still = webp(width, height, rgba);
  expect_pixels(decode_picture(still), width, height, pixels);
  expect_truncation_survived(still, width, height);

  const auto bitstream = [](const Bytes& file) { return Bytes(file.begin() + 12, file.end()); };
  const auto frame = [&](const Bytes& file) {
    Bytes body;
    for (const int value : {0, 0, width - 1, height - 1, 100}) put24(body, value);
    body.push_back(0);
    const Bytes stream = bitstream(file);
    body.insert(body.end(), stream.begin(), stream.end());
    return chunk("ANMF", body);
  };
  const Bytes animated = riff(
      {webp_canvas(0x02, width, height), chunk("ANIM", Bytes(6, 0)), frame(still), frame(webp(width, height, black))});
  expect_pixels(decode_picture(animated), width, height, pixels);
  expect_truncation_survived(animated, width, height, false);

  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Bytes turned =
        riff({webp_canvas(0x08, width, height), bitstream(still), chunk("EXIF", exif(orientation, true))});
    expect_upright(decode_picture(turned), orientation, width, height, pixels, 0);
  }
}

// Made by libheif from smooth(64, 48).
TEST(PictureHeif, HeicAndAvif) {
  for (const char* name : {"smooth.heic", "smooth.avif"}) {
    const Bytes file = test::seed("picture", name);
    expect_pixels(decode_picture(file), 64, 48, smooth(64, 48), 24);
    for (size_t size = 0; size < file.size(); ++size) EXPECT_FALSE(decode_picture(std::span(file).first(size))) << size;
    EXPECT_EQ(decode_picture(file, {.pixels = 1000}).error().code, ErrorCode::too_large);
  }
}

// Headers that say 10000 x 10000, and nothing behind them.
TEST(Picture, HundredMegapixelsAreRefusedByTheHeader) {
  Bytes png_header = png(1, 1, {0, 0, 0});
  Bytes bmp_header = test::bmp(1, 1);
  const uint32_t side = 10000;
  std::memcpy(&bmp_header[18], &side, 4);
  std::memcpy(&bmp_header[22], &side, 4);
  Bytes jpeg_header = jpeg(1, 1, {0, 0, 0});
  for (size_t i = 0; i + 9 < jpeg_header.size(); ++i) {
    if (jpeg_header[i] != 0xff || jpeg_header[i + 1] != 0xc0) continue;
    jpeg_header[i + 5] = jpeg_header[i + 7] = side >> 8;
    jpeg_header[i + 6] = jpeg_header[i + 8] = side & 255;
    break;
  }
  Bytes gif_header;
  gif_header << std::string_view("GIF89a\x10\x27\x10\x27\x80\0\0\0\0\0\1\1\1", 19);
  const Bytes webp_header = riff({webp_canvas(0x02, int(side), int(side)), chunk("ANIM", Bytes(6, 0))});
  for (const Bytes& file : {bmp_header, jpeg_header, gif_header, webp_header}) {
    const auto picture = decode_picture(file);
    ASSERT_FALSE(picture);
    EXPECT_EQ(picture.error().code, ErrorCode::too_large) << picture.error().message;
    EXPECT_NE(picture.error().message.find("10000 x 10000"), std::string::npos) << picture.error().message;
  }
  // PNG checks the header's sum first, so this one is written in earnest: 10000 x 10000 of one bit.
  png_header = png(10000, 10000, Bytes(size_t(1250) * 10000, 0), {.colours = PNG_COLOR_TYPE_GRAY, .bits = 1});
  png_header.resize(200);
  const auto picture = decode_picture(png_header);
  ASSERT_FALSE(picture);
  EXPECT_EQ(picture.error().code, ErrorCode::too_large) << picture.error().message;
}

TEST(Picture, LimitsAreExact) {
  const DecodeLimits limits{.pixels = 12, .side = 6};
  EXPECT_TRUE(decode_picture(test::bmp(4, 3), limits));
  EXPECT_TRUE(decode_picture(png(6, 2, test::rgb(6, 2)), limits));
  EXPECT_EQ(decode_picture(test::bmp(13, 1), limits).error().code, ErrorCode::too_large);
  EXPECT_EQ(decode_picture(png(7, 1, test::rgb(7, 1)), limits).error().code, ErrorCode::too_large);
  EXPECT_EQ(decode_picture(jpeg(5, 3, test::rgb(5, 3)), limits).error().code, ErrorCode::too_large);
  EXPECT_EQ(decode_picture(test::bmp(4, 3), {.picture_bytes = 80}).error().code, ErrorCode::too_large);
}

TEST(Picture, WhatIsNoneIsSaidToBeNone) {
  for (const std::string_view text :
       {"", "a", "<svg/>", "GIF8", "BM", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "RIFF....WEBP", "....ftypheic"}) {
    const auto picture = decode_picture(Bytes(text.begin(), text.end()));
    ASSERT_FALSE(picture) << text;
    EXPECT_EQ(picture.error().code, ErrorCode::invalid_argument) << text;
    EXPECT_FALSE(picture.error().message.empty());
  }
}

}  // namespace
}  // namespace calliope::media
