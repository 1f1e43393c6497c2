extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
}

#include <algorithm>
#include <cmath>
#include <string>

#include "media/decode.h"
#include "media/ffmpeg_input.h"

namespace calliope::media {
namespace {

constexpr const char* kFormats = "wav,w64,mp3,aac,mov,ogg,matroska,flac,aiff,caf,au,amr";

std::unexpected<Error> unreadable(const std::string& why) {
  return fail(ErrorCode::invalid_argument,
              "this is not a readable sound: " + why + ". WAV, MP3, M4A, Ogg, WebM and FLAC are read");
}

// Mono at 16 kHz from whatever the decoder gives; made anew when the stream changes its form.
class Resampler {
 public:
  bool convert(const AVFrame* frame, std::vector<float>& out) {
    if (frame && !configure(*frame)) return false;
    if (!context_) return true;
    const int room = swr_get_out_samples(context_.get(), frame ? frame->nb_samples : 0);
    if (room <= 0) return room == 0;
    const size_t had = out.size();
    out.resize(had + static_cast<size_t>(room));
    auto* to = reinterpret_cast<uint8_t*>(out.data() + had);
    const auto** from = frame ? const_cast<const uint8_t**>(frame->extended_data) : nullptr;
    const int made = swr_convert(context_.get(), &to, room, from, frame ? frame->nb_samples : 0);
    out.resize(had + static_cast<size_t>(std::max(0, made)));
    return made >= 0;
  }

 private:
  struct Free {
    void operator()(SwrContext* context) const { swr_free(&context); }
  };
  bool configure(const AVFrame& frame) {
    const int channels = frame.ch_layout.nb_channels;
    if (context_ && rate_ == frame.sample_rate && channels_ == channels && format_ == frame.format) return true;
    if (frame.sample_rate < 1000 || frame.sample_rate > 768000 || channels < 1 || channels > 64) return false;
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    AVChannelLayout from{};
    if (frame.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
      av_channel_layout_default(&from, channels);
    else
      av_channel_layout_copy(&from, &frame.ch_layout);
    SwrContext* context = nullptr;
    const int status = swr_alloc_set_opts2(&context, &mono, AV_SAMPLE_FMT_FLT, kSoundRate, &from,
                                           static_cast<AVSampleFormat>(frame.format), frame.sample_rate, 0, nullptr);
    av_channel_layout_uninit(&from);
    context_.reset(context);
    if (status < 0) return false;
    av_opt_set_double(context, "rematrix_maxval", 1.0, 0);  // the mean of the channels, as it cannot clip
    if (swr_init(context) < 0) return false;
    rate_ = frame.sample_rate;
    channels_ = channels;
    format_ = frame.format;
    return true;
  }
  std::unique_ptr<SwrContext, Free> context_;
  int rate_ = 0, channels_ = 0, format_ = -1;
};

}  // namespace

Result<std::vector<float>> decode_sound(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  if (bytes.empty()) return fail(ErrorCode::invalid_argument, "the sound has no bytes");
  if (bytes.size() > limits.sound_bytes) {
    return fail(ErrorCode::too_large, "the sound file has " + std::to_string(bytes.size() >> 20) + " MiB; at most " +
                                          std::to_string(limits.sound_bytes >> 20) + " MiB are read");
  }
  const detail::MemoryInput input(bytes, kFormats);
  if (!input.context()) return unreadable("its format is unknown or it is cut off");
  if (avformat_find_stream_info(input.context(), nullptr) < 0) return unreadable("it is damaged");
  int stream = -1;
  const auto decoder = input.open_decoder(AVMEDIA_TYPE_AUDIO, stream);
  if (!decoder) return unreadable("there is no sound in it");

  const size_t most = static_cast<size_t>(limits.sound_seconds) * kSoundRate;
  const std::unique_ptr<AVPacket, detail::PacketFree> packet(av_packet_alloc());
  const std::unique_ptr<AVFrame, detail::FrameFree> frame(av_frame_alloc());
  std::vector<float> samples;
  Resampler resampler;
  const auto drain = [&] {
    while (avcodec_receive_frame(decoder.get(), frame.get()) >= 0) {
      if (!resampler.convert(frame.get(), samples) || samples.size() > most) return false;
    }
    return true;
  };
  bool good = true;
  while (good && av_read_frame(input.context(), packet.get()) >= 0) {
    if (packet->stream_index == stream && avcodec_send_packet(decoder.get(), packet.get()) >= 0) good = drain();
    av_packet_unref(packet.get());
  }
  if (good) {
    avcodec_send_packet(decoder.get(), nullptr);
    good = drain() && resampler.convert(nullptr, samples);
  }
  if (samples.size() > most) {
    return fail(ErrorCode::too_large,
                "the sound is longer than " + std::to_string(limits.sound_seconds) + " seconds; cut it into pieces");
  }
  if (!good) return unreadable("it is damaged");
  if (samples.size() < kSoundRate / 20)
    return fail(ErrorCode::invalid_argument, "the sound is empty or shorter than 0.05 seconds");
  for (float& sample : samples) sample = std::isfinite(sample) ? std::clamp(sample, -1.0f, 1.0f) : 0.0f;
  return samples;
}

}  // namespace calliope::media
