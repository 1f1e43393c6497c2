extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "media/decode.h"
#include "media/test_files.h"

namespace calliope::media {
namespace {

using test::Bytes;
using test::sine;
using test::wav;
using test::operator<<;

// Amplitude of one frequency in the middle of a sound, where filters have settled.
double amplitude(const std::vector<float>& samples, double hertz) {
  const size_t from = samples.size() / 4, to = samples.size() * 3 / 4;
  std::complex<double> sum = 0;
  for (size_t i = from; i < to; ++i)
    sum += double(samples[i]) * std::polar(1.0, -2 * std::numbers::pi * hertz * double(i) / kSoundRate);
  return 2 * std::abs(sum) / double(to - from);
}

double power(const std::vector<float>& samples) {
  double sum = 0;
  for (size_t i = samples.size() / 4; i < samples.size() * 3 / 4; ++i) sum += double(samples[i]) * double(samples[i]);
  return sum / (double(samples.size()) / 2);
}

// A tone of 440 Hz and amplitude 0.5, and little else.
void expect_tone(const Result<std::vector<float>>& samples, double seconds, double level_within = 0.01,
                 double noise = 1e-4, double slack_seconds = 0.002) {
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_NEAR(double(samples->size()) / kSoundRate, seconds, slack_seconds);
  const double found = amplitude(*samples, 440);
  EXPECT_NEAR(found, 0.5, level_within);
  EXPECT_LT(std::abs(power(*samples) - found * found / 2), noise);
}

TEST(Sound, SixteenKilohertzComesThroughUnchanged) {
  const auto tone = sine(16000, 440, 0.3);
  const auto samples = decode_sound(wav(tone, {.bits = 32, .floats = true}));
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_EQ(*samples, tone);
}

TEST(Sound, EverySampleForm) {
  for (const test::Wav form : {test::Wav{.bits = 8},
                               {.bits = 16},
                               {.bits = 24},
                               {.bits = 32},
                               {.bits = 32, .floats = true},
                               {.bits = 64, .floats = true}}) {
    const auto tone = sine(16000, 440, 0.4);
    const auto samples = decode_sound(wav(tone, form));
    ASSERT_TRUE(samples) << samples.error().message;
    ASSERT_EQ(samples->size(), tone.size());
    const float within = form.bits == 8 ? 0.01f : 5e-5f;
    for (size_t i = 0; i < tone.size(); ++i) ASSERT_NEAR((*samples)[i], tone[i], within) << form.bits;
  }
}

TEST(Sound, EveryRate) {
  for (const int rate : {4000, 8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000, 96000, 192000}) {
    SCOPED_TRACE(rate);
    expect_tone(decode_sound(wav(sine(rate, 440, 0.5), {.rate = rate})), 0.5);
  }
  // What 16 kHz cannot hold is filtered out, not folded back.
  const auto high = decode_sound(wav(sine(48000, 12000, 0.5), {.rate = 48000}));
  ASSERT_TRUE(high);
  EXPECT_LT(power(*high), 1e-4);
}

TEST(Sound, ChannelsAreAveraged) {
  for (const int rate : {16000, 44100}) {
    const auto left = sine(rate, 440, 0.5), right = sine(rate, 1000, 0.5);
    std::vector<float> both, same, six;
    for (size_t i = 0; i < left.size(); ++i) {
      both.insert(both.end(), {left[i], right[i]});
      same.insert(same.end(), {left[i], left[i]});
      six.insert(six.end(), 6, left[i]);
    }
    const auto mixed = decode_sound(wav(both, {.rate = rate, .channels = 2}));
    ASSERT_TRUE(mixed) << mixed.error().message;
    EXPECT_NEAR(amplitude(*mixed, 440), 0.25, 0.005);
    EXPECT_NEAR(amplitude(*mixed, 1000), 0.25, 0.005);
    expect_tone(decode_sound(wav(same, {.rate = rate, .channels = 2})), 0.5);
    EXPECT_TRUE(decode_sound(wav(six, {.rate = rate, .channels = 6})));
  }
}

TEST(Sound, SamplesStayInRange) {
  const auto samples = decode_sound(wav(std::vector<float>(8000, 7.5f), {.bits = 32, .floats = true}));
  ASSERT_TRUE(samples);
  EXPECT_EQ(*std::ranges::max_element(*samples), 1.0f);
  const auto broken = decode_sound(wav(std::vector<float>(8000, NAN), {.bits = 32, .floats = true}));
  ASSERT_TRUE(broken);
  for (const float sample : *broken) ASSERT_TRUE(std::abs(sample) <= 1.0f);
}

TEST(Sound, EmptyAndCutOffFilesAreErrors) {
  for (const Bytes& file : {Bytes{}, wav({}), wav({0.1f}), wav(std::vector<float>(700, 0.1f))}) {
    const auto samples = decode_sound(file);
    ASSERT_FALSE(samples);
    EXPECT_EQ(samples.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_NE(decode_sound(wav({})).error().message.find("empty"), std::string::npos)
      << decode_sound(wav({})).error().message;
  for (const std::string_view text :
       {"hello", "RIFF", "RIFF\x24\0\0\0WAVE", "OggS", "fLaC", "ID3", "\x1a\x45\xdf\xa3", "http://x/",
        "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 0\r\n", "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n",
        "ffconcat version 1.0\nfile /etc/passwd\n"}) {
    const auto samples = decode_sound(Bytes(text.begin(), text.end()));
    ASSERT_FALSE(samples) << text;
    EXPECT_EQ(samples.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Sound, WhatIsThereOfACutOffWavIsHeard) {
  const auto whole = wav(sine(8000, 440, 1.0), {.rate = 8000});
  for (size_t size = 0; size < whole.size(); size += size < 60 ? 1 : 401) {
    const auto samples = decode_sound(std::span(whole).first(size));
    if (!samples) {
      EXPECT_LT(size, 44u + 1000) << samples.error().message;
    } else {
      EXPECT_NEAR(double(samples->size()), double(size - 44), 64) << size;
    }
  }
}

TEST(Sound, ALyingDataLengthIsNotBelieved) {
  for (const uint32_t length : {0u, 0x7fffffffu, 0xffffffffu, 0xfffffffeu, 100000u}) {
    Bytes file = wav(sine(16000, 440, 0.5));
    std::memcpy(&file[40], &length, 4);
    const auto samples = decode_sound(file);
    if (length != 0) {
      expect_tone(samples, 0.5);
    } else if (samples) {
      EXPECT_LE(samples->size(), 8000u + 16);
    }
  }
  Bytes channels = wav(sine(16000, 440, 0.5));
  for (const int lie : {0, 255, 65535}) {
    const auto value = static_cast<uint16_t>(lie);
    std::memcpy(&channels[22], &value, 2);
    EXPECT_FALSE(decode_sound(channels)) << lie;
  }
  Bytes rate = wav(sine(16000, 440, 0.5));
  for (const uint32_t lie : {0u, 1u, 0x7fffffffu, 0xffffffffu}) {
    std::memcpy(&rate[24], &lie, 4);
    EXPECT_FALSE(decode_sound(rate)) << lie;
  }
}

TEST(Sound, TooLongIsRefusedWithTheLimit) {
  const std::vector<float> second(16000, 0.1f);
  EXPECT_TRUE(decode_sound(wav(second), {.sound_seconds = 1}));
  std::vector<float> longer = second;
  longer.push_back(0);
  const auto samples = decode_sound(wav(longer), {.sound_seconds = 1});
  ASSERT_FALSE(samples);
  EXPECT_EQ(samples.error().code, ErrorCode::too_large);
  EXPECT_NE(samples.error().message.find("longer than 1 seconds"), std::string::npos);
  // Silence of an hour in a small file.
  const auto hour = decode_sound(wav(std::vector<float>(4000 * 3600, 0.0f), {.rate = 4000, .bits = 8}));
  ASSERT_FALSE(hour);
  EXPECT_EQ(hour.error().code, ErrorCode::too_large);
  EXPECT_EQ(decode_sound(wav(second), {.sound_bytes = 1000}).error().code, ErrorCode::too_large);
}

// Encodes a tone of 440 Hz by FFmpeg; empty when it has no such encoder.
Bytes encoded(const char* container, const char* codec_name, int rate, double seconds) {
  const AVCodec* codec = avcodec_find_encoder_by_name(codec_name);
  if (!codec) return {};
  AVCodecContext* encoder = avcodec_alloc_context3(codec);
  encoder->sample_fmt = codec->sample_fmts[0];
  encoder->sample_rate = rate;
  encoder->bit_rate = 96000;
  av_channel_layout_default(&encoder->ch_layout, std::string_view(codec_name) == "vorbis" ? 2 : 1);
  encoder->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
  AVFormatContext* format = nullptr;
  avformat_alloc_output_context2(&format, nullptr, container, nullptr);
  if (format->oformat->flags & AVFMT_GLOBALHEADER) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  EXPECT_GE(avcodec_open2(encoder, codec, nullptr), 0) << codec_name;
  AVStream* stream = avformat_new_stream(format, nullptr);
  avcodec_parameters_from_context(stream->codecpar, encoder);
  stream->time_base = {1, rate};
  // A real file, as MP4 goes back to write its index.
  std::string path = testing::TempDir() + "calliope_sound_test_" + std::to_string(getpid()) + "." + container;
  EXPECT_GE(avio_open(&format->pb, path.c_str(), AVIO_FLAG_WRITE), 0);
  AVDictionary* none = nullptr;
  EXPECT_GE(avformat_write_header(format, &none), 0);
  const auto tone = sine(rate, 440, seconds);
  AVPacket* packet = av_packet_alloc();
  const auto drain = [&] {
    while (avcodec_receive_packet(encoder, packet) >= 0) {
      av_packet_rescale_ts(packet, {1, rate}, stream->time_base);
      av_write_frame(format, packet);
      av_packet_unref(packet);
    }
  };
  const size_t step = encoder->frame_size > 0 ? size_t(encoder->frame_size) : 1024;
  for (size_t at = 0; at < tone.size(); at += step) {
    AVFrame* frame = av_frame_alloc();
    frame->nb_samples = int(std::min(step, tone.size() - at));
    frame->format = encoder->sample_fmt;
    frame->sample_rate = rate;
    frame->pts = int64_t(at);
    av_channel_layout_copy(&frame->ch_layout, &encoder->ch_layout);
    av_frame_get_buffer(frame, 0);
    const int channels = encoder->ch_layout.nb_channels;
    const bool planar = av_sample_fmt_is_planar(encoder->sample_fmt) != 0;
    for (int i = 0; i < frame->nb_samples; ++i) {
      for (int c = 0; c < channels; ++c) {
        uint8_t* plane = frame->extended_data[planar ? c : 0];
        const size_t place = planar ? size_t(i) : size_t(i * channels + c);
        const float value = tone[at + size_t(i)];
        if (av_get_packed_sample_fmt(encoder->sample_fmt) == AV_SAMPLE_FMT_FLT)
          reinterpret_cast<float*>(plane)[place] = value;
        else if (av_get_packed_sample_fmt(encoder->sample_fmt) == AV_SAMPLE_FMT_S16)
          reinterpret_cast<int16_t*>(plane)[place] = int16_t(value * 32767);
        else
          reinterpret_cast<int32_t*>(plane)[place] = int32_t(double(value) * 2147483647.0);
      }
    }
    avcodec_send_frame(encoder, frame);
    av_frame_free(&frame);
    drain();
  }
  avcodec_send_frame(encoder, nullptr);
  drain();
  av_write_trailer(format);
  avio_closep(&format->pb);
  av_packet_free(&packet);
  avcodec_free_context(&encoder);
  avformat_free_context(format);
  Bytes out;
  if (FILE* file = std::fopen(path.c_str(), "rb")) {
    uint8_t buffer[4096];
    for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
      out.insert(out.end(), buffer, buffer + count);
    std::fclose(file);
  }
  std::remove(path.c_str());
  return out;
}

struct Coded {
  const char* container;
  const char* codec;
  int rate;
};

class SoundFile : public testing::TestWithParam<Coded> {};

TEST_P(SoundFile, IsHeardWholeAndSurvivesDamage) {
  const auto [container, codec, rate] = GetParam();
  const Bytes file = encoded(container, codec, rate, 1.0);
  if (file.empty()) GTEST_SKIP() << "FFmpeg has no encoder " << codec << " here";
  expect_tone(decode_sound(file), 1.0, 0.03, 2e-3, 0.1);  // LAME lowers the level by 5 %
  for (size_t size = 0; size < file.size(); size += 1 + file.size() / 97) {
    const auto samples = decode_sound(std::span(file).first(size));
    EXPECT_LE(samples ? samples->size() : 0, size_t(kSoundRate) * 2);
  }
  for (size_t at = 0; at < file.size(); at += 1 + file.size() / 97) {
    Bytes damaged = file;
    for (size_t i = at; i < std::min(at + 3, file.size()); ++i) damaged[i] ^= 0x5a;
    const auto samples = decode_sound(damaged, {.sound_seconds = 20});
    EXPECT_LE(samples ? samples->size() : 0, size_t(kSoundRate) * 20);
    EXPECT_TRUE(samples || !samples.error().message.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, SoundFile,
                         testing::Values(Coded{"flac", "flac", 44100}, Coded{"ogg", "libvorbis", 44100},
                                         Coded{"ogg", "libopus", 48000}, Coded{"mp3", "libmp3lame", 22050},
                                         Coded{"mp4", "aac", 44100}, Coded{"adts", "aac", 24000},
                                         Coded{"webm", "libopus", 48000}, Coded{"matroska", "flac", 16000},
                                         Coded{"aiff", "pcm_s16be", 32000}, Coded{"w64", "pcm_s24le", 48000},
                                         Coded{"caf", "pcm_s16le", 16000}, Coded{"au", "pcm_mulaw", 8000},
                                         Coded{"wav", "pcm_alaw", 8000}, Coded{"wav", "adpcm_ima_wav", 16000}),
                         [](const auto& test) { return std::string(test.param.container) + "_" + test.param.codec; });

}  // namespace
}  // namespace calliope::media
