extern "C" {
#include <libswscale/swscale.h>
}

#include <algorithm>

#include "media/ffmpeg_input.h"
#include "media/picture_formats.h"

namespace calliope::media::detail {

Result<Picture> decode_by_ffmpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  const MemoryInput input(bytes);
  if (!input.context()) return broken("picture");
  int stream = -1;
  const auto decoder = input.open_decoder(AVMEDIA_TYPE_VIDEO, stream);
  if (!decoder) return broken("picture");
  decoder->max_pixels = limits.pixels;
  if (decoder->width > 0) TRY_VOID(check_size(decoder->width, decoder->height, limits));
  const std::unique_ptr<AVPacket, PacketFree> packet(av_packet_alloc());
  const std::unique_ptr<AVFrame, FrameFree> frame(av_frame_alloc());
  bool found = false;
  for (int packets = 0; !found && packets < 256 && av_read_frame(input.context(), packet.get()) >= 0; ++packets) {
    if (packet->stream_index == stream && avcodec_send_packet(decoder.get(), packet.get()) >= 0) {
      found = avcodec_receive_frame(decoder.get(), frame.get()) >= 0;
    }
    av_packet_unref(packet.get());
  }
  if (!found) {
    avcodec_send_packet(decoder.get(), nullptr);
    found = avcodec_receive_frame(decoder.get(), frame.get()) >= 0;
  }
  if (!found) return broken("picture", "its first frame cannot be read");
  TRY_VOID(check_size(frame->width, frame->height, limits));
  const std::unique_ptr<SwsContext, void (*)(SwsContext*)> scaler(
      sws_getContext(frame->width, frame->height, static_cast<AVPixelFormat>(frame->format), frame->width, frame->height,
                     AV_PIX_FMT_RGBA, SWS_POINT, nullptr, nullptr, nullptr),
      sws_freeContext);
  if (!scaler) return broken("picture");
  Picture picture{frame->width, frame->height, {}};
  std::vector<uint8_t> rgba(size_t(picture.width) * size_t(picture.height) * 4 + 64);
  uint8_t* planes[4] = {rgba.data(), nullptr, nullptr, nullptr};
  const int strides[4] = {picture.width * 4, 0, 0, 0};
  sws_scale(scaler.get(), frame->data, frame->linesize, 0, frame->height, planes, strides);
  flatten_alpha({rgba.data(), size_t(picture.width) * size_t(picture.height) * 4}, picture);
  return picture;
}

}  // namespace calliope::media::detail
