#include <turbojpeg.h>

#include <memory>
#include <string_view>

#include "media/picture_formats.h"

namespace calliope::media::detail {

namespace {

bool has_adobe_mark(std::span<const uint8_t> jpeg) {
  const std::string_view text(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
  return text.find(std::string_view("\xFF\xEE\x00\x0E"
                                    "Adobe",
                                    9)) != text.npos;
}

// Without a colour profile: light is what no ink takes. Files with Adobe's mark store how much light is left.
void ink_to_rgb(std::span<const uint8_t> cmyk, bool inverted, std::span<uint8_t> rgb) {
  const int flip = inverted ? 0 : 255;
  for (size_t i = 0; i < rgb.size() / 3; ++i) {
    const int black = cmyk[i * 4 + 3] ^ flip;
    for (size_t c = 0; c < 3; ++c)
      rgb[i * 3 + c] = static_cast<uint8_t>(((cmyk[i * 4 + c] ^ flip) * black + 127) / 255);
  }
}

}  // namespace

Result<Picture> decode_jpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  const std::unique_ptr<void, int (*)(tjhandle)> handle(tjInitDecompress(), tjDestroy);
  Picture picture;
  int subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), bytes.data(), bytes.size(), &picture.width, &picture.height, &subsampling,
                          &colours) != 0) {
    return broken("JPEG", tjGetErrorStr2(handle.get()));
  }
  TRY_VOID(check_size(picture.width, picture.height, limits));
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  picture.rgb.resize(size_t(picture.width) * size_t(picture.height) * 3);
  std::vector<uint8_t> ink(cmyk ? picture.rgb.size() / 3 * 4 : 0);
  const int status = tjDecompress2(handle.get(), bytes.data(), bytes.size(), cmyk ? ink.data() : picture.rgb.data(),
                                   picture.width, 0, picture.height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_ACCURATEDCT);
  if (status != 0) {
    // Many cameras leave stray bytes between segments; everything else means that pixels are missing or wrong.
    const std::string_view error = tjGetErrorStr2(handle.get());
    if (tjGetErrorCode(handle.get()) != TJERR_WARNING) return broken("JPEG", error.data());
    if (error.find("extraneous bytes") == error.npos) return broken("JPEG", "it is damaged or cut off");
  }
  if (cmyk) ink_to_rgb(ink, has_adobe_mark(bytes), picture.rgb);
  return oriented(std::move(picture), jpeg_orientation(bytes));
}

}  // namespace calliope::media::detail
