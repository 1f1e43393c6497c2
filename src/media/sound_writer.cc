#include "media/sound_writer.h"

#include <sonic.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"
#include "media/ffmpeg_input.h"
#include "media/wire_sound.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
}

namespace calliope::media {
namespace {

// What is usual for one voice at 24 kHz. A page of Ogg holds a second unless it is told otherwise.
struct Recipe {
  const char* muxer;
  const char* encoder;
  int64_t bits_per_second;
  std::array<std::pair<const char*, const char*>, 3> muxer_options;
};
Recipe recipe_of(SoundFormat format) {
  switch (format) {
    case SoundFormat::mp3: return {"mp3", "libmp3lame", 64'000, {{{"write_xing", "0"}, {"id3v2_version", "0"}, {}}}};
    case SoundFormat::opus: return {"ogg", "libopus", 48'000, {{{"page_duration", "100000"}, {}, {}}}};
    case SoundFormat::aac: return {"adts", "aac", 64'000, {}};
    case SoundFormat::flac: return {"flac", "flac", 0, {}};
    case SoundFormat::wav:
    case SoundFormat::pcm16: break;
  }
  return {};
}

bool is_bare(SoundFormat format) { return format == SoundFormat::wav || format == SoundFormat::pcm16; }

std::string reason(int status) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(status, text, sizeof text);
  return text;
}

std::unexpected<Error> broken(const char* what, int status) {
  return fail(ErrorCode::internal, std::string("the sound cannot be packed: ") + what + ": " + reason(status));
}

}  // namespace

std::vector<uint8_t> wav_header(int rate, std::optional<uint32_t> data_bytes) {
  std::vector<uint8_t> bytes;
  const auto word = [&](const char* text) { bytes.insert(bytes.end(), text, text + 4); };
  const auto number = [&](uint32_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<uint8_t>(value >> 8 * i & 0xff));
  };
  word("RIFF");
  number(data_bytes ? 36 + *data_bytes : UINT32_MAX, 4);
  word("WAVE");
  word("fmt ");
  number(16, 4);
  number(1, 2);  // PCM
  number(1, 2);  // mono
  number(static_cast<uint32_t>(rate), 4);
  number(static_cast<uint32_t>(rate) * 2, 4);
  number(2, 2);   // bytes a frame
  number(16, 2);  // bits a sample
  word("data");
  number(data_bytes.value_or(UINT32_MAX), 4);
  return bytes;
}

// One of FFmpeg's encoders and muxers, writing to memory.
struct SoundWriter::Encoder {
  ~Encoder() {
    if (muxer) avformat_free_context(muxer);
    if (io) av_freep(&io->buffer);
    avio_context_free(&io);
  }

  Result<void> open(const Options& options) {
    const Recipe recipe = recipe_of(options.format);
    av_log_set_level(AV_LOG_QUIET);
    const AVCodec* found = avcodec_find_encoder_by_name(recipe.encoder);
    int status = avformat_alloc_output_context2(&muxer, nullptr, recipe.muxer, nullptr);
    if (!found || status < 0) {
      return fail(ErrorCode::unsupported,
                  std::string("this build cannot write ") + recipe.encoder + "; use wav or pcm");
    }
    codec.reset(avcodec_alloc_context3(found));
    codec->sample_rate = options.rate;
    codec->bit_rate = recipe.bits_per_second;
    codec->time_base = {1, options.rate};
    codec->thread_count = 1;
    codec->sample_fmt = found->sample_fmts[0];
    for (const AVSampleFormat* format = found->sample_fmts; *format != AV_SAMPLE_FMT_NONE; ++format) {
      if (*format == AV_SAMPLE_FMT_FLT || *format == AV_SAMPLE_FMT_FLTP || *format == AV_SAMPLE_FMT_S16)
        codec->sample_fmt = *format;
    }
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((muxer->oformat->flags & AVFMT_GLOBALHEADER) != 0) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    const AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    av_channel_layout_copy(&codec->ch_layout, &mono);
    if (status = avcodec_open2(codec.get(), found, nullptr); status < 0) return broken("encoder", status);

    constexpr int kBuffer = 16 << 10;
    io = avio_alloc_context(static_cast<unsigned char*>(av_malloc(kBuffer)), kBuffer, 1, this, nullptr, write, nullptr);
    io->seekable = 0;
    muxer->pb = io;
    muxer->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT | AVFMT_FLAG_FLUSH_PACKETS;
    AVStream* stream = avformat_new_stream(muxer, nullptr);
    stream->time_base = codec->time_base;
    avcodec_parameters_from_context(stream->codecpar, codec.get());
    AVDictionary* asked = nullptr;
    for (const auto& [name, value] : recipe.muxer_options) {
      if (name) av_dict_set(&asked, name, value, 0);
    }
    status = avformat_write_header(muxer, &asked);
    av_dict_free(&asked);
    if (status < 0) return broken("header", status);
    frame.reset(av_frame_alloc());
    packet.reset(av_packet_alloc());
    return {};
  }

  // All whole frames; with `last` what is left, too.
  Result<void> encode(bool last, std::vector<uint8_t>& out) {
    const size_t size = codec->frame_size > 0 ? static_cast<size_t>(codec->frame_size) : 1024;
    size_t at = 0;
    while (waiting.size() - at >= size || (last && at < waiting.size())) {
      const size_t count = std::min(size, waiting.size() - at);
      TRY_VOID(send(std::span(waiting).subspan(at, count)));
      at += count;
    }
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(at));
    if (last) {
      if (const int status = avcodec_send_frame(codec.get(), nullptr); status < 0) return broken("end", status);
      TRY_VOID(receive());
      if (const int status = av_write_trailer(muxer); status < 0) return broken("trailer", status);
    }
    avio_flush(io);
    out.insert(out.end(), written.begin(), written.end());
    written.clear();
    return {};
  }

  Result<void> send(std::span<const float> samples) {
    frame->format = codec->sample_fmt;
    frame->nb_samples = static_cast<int>(samples.size());
    frame->sample_rate = codec->sample_rate;
    av_channel_layout_copy(&frame->ch_layout, &codec->ch_layout);
    if (const int status = av_frame_get_buffer(frame.get(), 0); status < 0) return broken("memory", status);
    if (codec->sample_fmt == AV_SAMPLE_FMT_S16) {
      auto* to = reinterpret_cast<int16_t*>(frame->data[0]);
      for (const float sample : samples)
        *to++ = static_cast<int16_t>(std::lrint(std::clamp(sample, -1.0f, 1.0f) * 32767.0f));
    } else {
      auto* to = reinterpret_cast<float*>(frame->data[0]);
      for (const float sample : samples) *to++ = std::clamp(sample, -1.0f, 1.0f);
    }
    frame->pts = next_pts;
    next_pts += frame->nb_samples;
    const int status = avcodec_send_frame(codec.get(), frame.get());
    av_frame_unref(frame.get());
    if (status < 0) return broken("frame", status);
    return receive();
  }

  Result<void> receive() {
    int status = 0;
    while ((status = avcodec_receive_packet(codec.get(), packet.get())) >= 0) {
      packet->stream_index = 0;
      av_packet_rescale_ts(packet.get(), codec->time_base, muxer->streams[0]->time_base);
      status = av_write_frame(muxer, packet.get());
      av_packet_unref(packet.get());
      if (status < 0) return broken("packet", status);
    }
    if (status != AVERROR(EAGAIN) && status != AVERROR_EOF) return broken("encoder", status);
    return {};
  }

  static int write(void* self, uint8_t* bytes, int size) {
    auto& out = static_cast<Encoder*>(self)->written;
    out.insert(out.end(), bytes, bytes + size);
    return size;
  }

  std::unique_ptr<AVCodecContext, detail::CodecFree> codec;
  std::unique_ptr<AVFrame, detail::FrameFree> frame;
  std::unique_ptr<AVPacket, detail::PacketFree> packet;
  AVFormatContext* muxer = nullptr;
  AVIOContext* io = nullptr;
  std::vector<float> waiting;
  std::vector<uint8_t> written;
  int64_t next_pts = 0;
};

void SoundWriter::FreeSpeed::operator()(void* stream) const { sonicDestroyStream(static_cast<sonicStream>(stream)); }

SoundWriter::SoundWriter(const Options& options) : options_(options) {}
SoundWriter::~SoundWriter() = default;

Result<std::unique_ptr<SoundWriter>> SoundWriter::open(const Options& options) {
  CHECK(options.speed >= kSlowest && options.speed <= kFastest);
  std::unique_ptr<SoundWriter> writer(new SoundWriter(options));
  if (options.speed != 1) {
    writer->speed_.reset(sonicCreateStream(options.rate, 1));
    CHECK(writer->speed_);
    sonicSetSpeed(static_cast<sonicStream>(writer->speed_.get()), static_cast<float>(options.speed));
  }
  if (!is_bare(options.format)) {
    writer->encoder_ = std::make_unique<Encoder>();
    TRY_VOID(writer->encoder_->open(options));
  }
  return writer;
}

Result<void> SoundWriter::push(std::span<const float> samples, std::vector<uint8_t>& out) {
  if (!speed_) return pack(samples, out);
  // Piece by piece, so that what comes out does not depend on what came in at once.
  constexpr size_t kPiece = 240;
  auto* stream = static_cast<sonicStream>(speed_.get());
  stretched_.insert(stretched_.end(), samples.begin(), samples.end());
  std::vector<float> result;
  size_t at = 0;
  std::array<float, 4096> buffer;
  for (; stretched_.size() - at >= kPiece; at += kPiece) {
    for (size_t i = at; i < at + kPiece; ++i) stretched_[i] = std::clamp(stretched_[i], -1.0f, 1.0f);
    CHECK(sonicWriteFloatToStream(stream, stretched_.data() + at, static_cast<int>(kPiece)) != 0);
    while (const int count = sonicReadFloatFromStream(stream, buffer.data(), static_cast<int>(buffer.size()))) {
      result.insert(result.end(), buffer.begin(), buffer.begin() + count);
    }
  }
  stretched_.erase(stretched_.begin(), stretched_.begin() + static_cast<std::ptrdiff_t>(at));
  return pack(result, out);
}

Result<void> SoundWriter::pack(std::span<const float> samples, std::vector<uint8_t>& out) {
  if (!encoder_) {
    if (!std::exchange(begun_, true) && options_.format == SoundFormat::wav) {
      const std::vector<uint8_t> header = wav_header(options_.rate, std::nullopt);
      out.insert(out.end(), header.begin(), header.end());
    }
    to_wire(samples, WireFormat::pcm16, out);
    return {};
  }
  encoder_->waiting.insert(encoder_->waiting.end(), samples.begin(), samples.end());
  return encoder_->encode(false, out);
}

Result<void> SoundWriter::finish(std::vector<uint8_t>& out) {
  if (speed_) {
    auto* stream = static_cast<sonicStream>(speed_.get());
    std::vector<float> result;
    std::array<float, 4096> buffer;
    for (float& sample : stretched_) sample = std::clamp(sample, -1.0f, 1.0f);
    if (!stretched_.empty())
      CHECK(sonicWriteFloatToStream(stream, stretched_.data(), static_cast<int>(stretched_.size())) != 0);
    CHECK(sonicFlushStream(stream) != 0);
    while (const int count = sonicReadFloatFromStream(stream, buffer.data(), static_cast<int>(buffer.size()))) {
      result.insert(result.end(), buffer.begin(), buffer.begin() + count);
    }
    TRY_VOID(pack(result, out));
  } else {
    TRY_VOID(pack({}, out));  // the header of an empty sound
  }
  return encoder_ ? encoder_->encode(true, out) : Result<void>();
}

}  // namespace calliope::media
