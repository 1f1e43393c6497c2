#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
}

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace calliope::media::detail {

struct FormatClose {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
struct CodecFree {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};
struct PacketFree {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FrameFree {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};

/// A file in memory as FFmpeg reads one, in one of `formats` (FFmpeg's names, with commas); nothing else can be opened.
class MemoryInput {
 public:
  MemoryInput(std::span<const uint8_t> bytes, const char* formats) : bytes_(bytes) {
    av_log_set_level(AV_LOG_QUIET);
    constexpr int kBuffer = 32 << 10;
    io_ = avio_alloc_context(static_cast<unsigned char*>(av_malloc(kBuffer)), kBuffer, 0, this, read, nullptr, seek);
    AVFormatContext* context = avformat_alloc_context();
    context->pb = io_;
    context->flags |= AVFMT_FLAG_CUSTOM_IO;
    context->probesize = 1 << 20;
    context->max_streams = 16;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    av_dict_set(&options, "format_whitelist", formats, 0);
    const int status = avformat_open_input(&context, nullptr, nullptr, &options);
    av_dict_free(&options);
    if (status == 0) context_.reset(context);
  }
  ~MemoryInput() {
    context_.reset();
    if (io_) av_freep(&io_->buffer);
    avio_context_free(&io_);
  }
  MemoryInput(const MemoryInput&) = delete;
  MemoryInput& operator=(const MemoryInput&) = delete;

  AVFormatContext* context() const { return context_.get(); }

  /// A decoder of the best stream of that kind; null when there is none. `stream` gets its index.
  std::unique_ptr<AVCodecContext, CodecFree> open_decoder(AVMediaType kind, int& stream) const {
    const AVCodec* codec = nullptr;
    stream = av_find_best_stream(context_.get(), kind, -1, -1, &codec, 0);
    if (stream < 0 || !codec) return nullptr;
    std::unique_ptr<AVCodecContext, CodecFree> decoder(avcodec_alloc_context3(codec));
    avcodec_parameters_to_context(decoder.get(), context_->streams[stream]->codecpar);
    decoder->thread_count = 1;
    return avcodec_open2(decoder.get(), codec, nullptr) < 0 ? nullptr : std::move(decoder);
  }

 private:
  static int read(void* self, uint8_t* out, int size) {
    auto& input = *static_cast<MemoryInput*>(self);
    const size_t count = std::min(static_cast<size_t>(size), input.bytes_.size() - input.at_);
    if (count == 0) return AVERROR_EOF;
    std::memcpy(out, input.bytes_.data() + input.at_, count);
    input.at_ += count;
    return static_cast<int>(count);
  }
  static int64_t seek(void* self, int64_t offset, int whence) {
    auto& input = *static_cast<MemoryInput*>(self);
    const auto size = static_cast<int64_t>(input.bytes_.size());
    if (whence == AVSEEK_SIZE) return size;
    const int64_t base = whence == SEEK_CUR ? static_cast<int64_t>(input.at_) : whence == SEEK_END ? size : 0;
    if (base + offset < 0 || base + offset > size) return -1;
    input.at_ = static_cast<size_t>(base + offset);
    return base + offset;
  }

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  AVIOContext* io_ = nullptr;
  std::unique_ptr<AVFormatContext, FormatClose> context_;
};

}  // namespace calliope::media::detail
