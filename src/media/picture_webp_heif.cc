#include <libheif/heif.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "media/picture_formats.h"

namespace calliope::media::detail {

Result<Picture> decode_webp(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) return broken("WebP");
  TRY_VOID(check_size(features.width, features.height, limits));
  Picture picture{features.width, features.height, {}};
  std::vector<uint8_t> rgba(size_t(picture.width) * size_t(picture.height) * 4);
  if (!features.has_animation) {
    if (!WebPDecodeRGBAInto(bytes.data(), bytes.size(), rgba.data(), rgba.size(), picture.width * 4))
      return broken("WebP", "it is damaged or cut off");
    flatten_alpha(rgba, picture);
    return oriented(std::move(picture), webp_orientation(bytes));
  }
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(WebPAnimDecoderNew(&data, nullptr),
                                                                             WebPAnimDecoderDelete);
  uint8_t* frame = nullptr;
  int time_ms = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &frame, &time_ms))
    return broken("WebP", "its first frame cannot be read");
  flatten_alpha({frame, rgba.size()}, picture);
  return oriented(std::move(picture), webp_orientation(bytes));
}

Result<Picture> decode_heif(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  const std::unique_ptr<heif_context, void (*)(heif_context*)> context(heif_context_alloc(), heif_context_free);
  heif_context_set_max_decoding_threads(context.get(), 0);
  heif_context_set_maximum_image_size_limit(context.get(), limits.side);
  heif_error error = heif_context_read_from_memory_without_copy(context.get(), bytes.data(), bytes.size(), nullptr);
  if (error.code != heif_error_Ok) return broken("HEIC picture", error.message);
  heif_image_handle* raw_handle = nullptr;
  error = heif_context_get_primary_image_handle(context.get(), &raw_handle);
  if (error.code != heif_error_Ok) return broken("HEIC picture", error.message);
  const std::unique_ptr<heif_image_handle, void (*)(const heif_image_handle*)> handle(raw_handle,
                                                                                      heif_image_handle_release);
  TRY_VOID(check_size(heif_image_handle_get_width(raw_handle), heif_image_handle_get_height(raw_handle), limits));
  heif_image* raw_image = nullptr;
  error = heif_decode_image(raw_handle, &raw_image, heif_colorspace_RGB, heif_chroma_interleaved_RGBA, nullptr);
  if (error.code != heif_error_Ok) return broken("HEIC picture", error.message);
  const std::unique_ptr<heif_image, void (*)(const heif_image*)> image(raw_image, heif_image_release);
  const int width = heif_image_get_width(raw_image, heif_channel_interleaved),
            height = heif_image_get_height(raw_image, heif_channel_interleaved);
  TRY_VOID(check_size(width, height, limits));
  int stride = 0;
  const uint8_t* plane = heif_image_get_plane_readonly(raw_image, heif_channel_interleaved, &stride);
  if (!plane) return broken("HEIC picture");
  std::vector<uint8_t> rgba(size_t(width) * size_t(height) * 4);
  for (int y = 0; y < height; ++y)
    std::memcpy(&rgba[size_t(y) * size_t(width) * 4], plane + size_t(y) * size_t(stride), size_t(width) * 4);
  Picture picture{width, height, {}};
  flatten_alpha(rgba, picture);
  return picture;
}

}  // namespace calliope::media::detail
