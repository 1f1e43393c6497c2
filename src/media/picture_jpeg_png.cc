#include <png.h>
#include <turbojpeg.h>

#include <memory>

#include "media/picture_formats.h"

namespace calliope::media::detail {

Result<Picture> decode_jpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  const std::unique_ptr<void, int (*)(tjhandle)> handle(tjInitDecompress(), tjDestroy);
  Picture picture;
  int subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), bytes.data(), bytes.size(), &picture.width, &picture.height, &subsampling, &colours) != 0) {
    return broken("JPEG", tjGetErrorStr2(handle.get()));
  }
  TRY_VOID(check_size(picture.width, picture.height, limits));
  picture.rgb.resize(size_t(picture.width) * size_t(picture.height) * 3);
  // CMYK is rare and needs its own formula: refused rather than shown wrong.
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) return fail(ErrorCode::unsupported, "CMYK JPEGs are not read; save the picture as RGB");
  const int status = tjDecompress2(handle.get(), bytes.data(), bytes.size(), picture.rgb.data(), picture.width, 0, picture.height,
                                   TJPF_RGB, TJFLAG_ACCURATEDCT);
  if (status != 0 && tjGetErrorCode(handle.get()) != TJERR_WARNING) return broken("JPEG", tjGetErrorStr2(handle.get()));
  if (status != 0) return broken("JPEG", "it is damaged or cut off");
  return oriented(std::move(picture), exif_orientation(bytes));
}

Result<Picture> decode_png(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, void (*)(png_image*)> freed(&image, png_image_free);
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) return broken("PNG", image.message);
  TRY_VOID(check_size(image.width, image.height, limits));
  image.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr)) return broken("PNG", image.message);
  Picture picture{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  flatten_alpha(rgba, picture);
  return picture;
}

}  // namespace calliope::media::detail
