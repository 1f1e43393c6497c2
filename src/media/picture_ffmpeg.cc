extern "C" {
#include <libswscale/swscale.h>
}

#include <cstdlib>

#include "media/ffmpeg_input.h"
#include "media/picture_formats.h"

namespace calliope::media::detail {

namespace {

// What the file's header says, before FFmpeg allocates anything; 0 x 0 when the header is cut off.
Result<void> check_header(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  const auto u16 = [&](size_t i) { return i + 2 <= bytes.size() ? bytes[i] | bytes[i + 1] << 8 : 0; };
  const auto i32 = [&](size_t i) { return static_cast<int32_t>(uint32_t(u16(i)) | uint32_t(u16(i + 2)) << 16); };
  if (bytes[0] == 'G') return check_size(u16(6), u16(8), limits);
  if (u16(14) == 12) return check_size(u16(18), u16(20), limits);  // OS/2's BMP
  return check_size(i32(18), std::abs(int64_t{i32(22)}), limits);  // a negative height is top down
}

}  // namespace

Result<Picture> decode_by_ffmpeg(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  TRY_VOID(check_header(bytes, limits));
  const MemoryInput input(bytes, "gif,bmp_pipe");
  if (!input.context()) return broken("picture");
  int stream = -1;
  const auto decoder = input.open_decoder(AVMEDIA_TYPE_VIDEO, stream);
  if (!decoder) return broken("picture");
  decoder->max_pixels = 2 * limits.pixels + (1 << 20);  // FFmpeg counts its padding too
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
      sws_getContext(frame->width, frame->height, static_cast<AVPixelFormat>(frame->format), frame->width,
                     frame->height, AV_PIX_FMT_RGBA, SWS_POINT, nullptr, nullptr, nullptr),
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
