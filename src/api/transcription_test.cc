#include <gtest/gtest.h>

#include <map>

#include "api/transcription_request.h"
#include "api/transcription_response.h"

namespace calliope::api {
namespace {

class FakeDecoder : public MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t>) override {
    return fail(ErrorCode::invalid_argument, "no picture.");
  }
  Result<assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view) override {
    ++decoded;
    if (bytes[0] == 'X') return fail(ErrorCode::invalid_argument, "this is no sound.");
    return assistant::Sound{.samples = std::vector<float>(bytes.size())};
  }
  int decoded = 0;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string form(const Fields& fields, const std::string& file = "RIFF") {
  std::string body;
  for (const auto& [name, value] : fields)
    body += "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  if (!file.empty())
    body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n" + file + "\r\n";
  return body + "--b--\r\n";
}

class TranscriptionForm : public testing::Test {
 protected:
  Result<TranscriptionRequest> parse(const std::string& body) {
    return parse_transcription("multipart/form-data; boundary=b", body, {.decoder = decoder_, .models = models_});
  }
  FakeDecoder decoder_;
  std::vector<std::string> models_ = {"nano", "other"};
};

TEST_F(TranscriptionForm, EveryField) {
  const auto request = parse(form({{"model", "other"},
                                   {"language", "EN"},
                                   {"prompt", "Orders of coffee."},
                                   {"response_format", "verbose_json"},
                                   {"temperature", "0.25"},
                                   {"timestamp_granularities[]", "segment"},
                                   {"stream", "false"},
                                   {"chunking_strategy", "auto"},
                                   {"new_field", "1"}}));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "other");
  EXPECT_EQ(request->language, "en");
  EXPECT_EQ(request->prompt, "Orders of coffee.");
  EXPECT_EQ(request->temperature, 0.25f);
  EXPECT_EQ(request->format, TranscriptFormat::verbose_json);
  EXPECT_FALSE(request->stream);
  EXPECT_EQ(request->sound->samples.size(), 4u);
}

TEST_F(TranscriptionForm, LittleIsEnough) {
  const auto request = parse(form({}));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "nano");
  EXPECT_EQ(request->temperature, 0);
  EXPECT_EQ(request->format, TranscriptFormat::json);
  EXPECT_TRUE(parse(form({{"stream", "true"}, {"response_format", "text"}}))->stream);
}

TEST_F(TranscriptionForm, RefusesWithTheFieldsName) {
  const struct {
    std::string body, field, says;
    ErrorCode code = ErrorCode::invalid_argument;
  } cases[] = {
      {form({{"model", "whisper-1"}}), "model", "this server has: nano, other", ErrorCode::not_found},
      {form({}, ""), "file", "Missing required parameter"},
      {form({{"file", "RIFF"}}, ""), "file", "with a file name"},
      {form({{"file", "RIFF"}}), "file", "more than once"},
      {form({}, "XIFF"), "file", "this is no sound."},
      {form({{"language", "english"}}), "language", "ISO-639-1"},
      {form({{"language", "e1"}}), "language", "ISO-639-1"},
      {form({{"temperature", "1.5"}}), "temperature", "between 0 and 1"},
      {form({{"temperature", "nan"}}), "temperature", "between 0 and 1"},
      {form({{"temperature", "0.5x"}}), "temperature", "between 0 and 1"},
      {form({{"stream", "maybe"}}), "stream", "'true' or 'false'"},
      {form({{"response_format", "xml"}}), "response_format", "'srt' or 'vtt'"},
      {form({{"response_format", "diarized_json"}}), "response_format", "use 'verbose_json'", ErrorCode::unsupported},
      {form({{"response_format", "srt"}, {"stream", "true"}}), "response_format", "cannot be streamed",
       ErrorCode::unsupported},
      {form({{"include[]", "logprobs"}}), "include", "not given", ErrorCode::unsupported},
      {form({{"timestamp_granularities[]", "segment"}}), "timestamp_granularities", "verbose_json"},
      {form({{"response_format", "verbose_json"},
             {"timestamp_granularities[]", "segment"},
             {"timestamp_granularities[]", "word"}}),
       "timestamp_granularities", "use 'segment'", ErrorCode::unsupported},
      {form({{"chunking_strategy", "{\"type\":\"server_vad\"}"}}), "chunking_strategy", "'auto'",
       ErrorCode::unsupported},
      {form({{"known_speaker_names[]", "anna"}}), "known_speaker_names", "not told apart", ErrorCode::unsupported},
      {form({{"keywords[]", "latte"}}), "keywords", "'prompt'", ErrorCode::unsupported},
      {form({{"prompt", std::string(5000, 'x')}}), "prompt", "longer than 4096 bytes"},
      {form({{"prompt", "\xff"}}), "prompt", "not UTF-8"},
      {form({{"whatever", std::string(20000, 'x')}}), "whatever", "longer than 16 KiB", ErrorCode::too_large},
  };
  for (const auto& bad : cases) {
    const int before = decoder_.decoded;
    const auto request = parse(bad.body);
    ASSERT_FALSE(request) << bad.says;
    EXPECT_EQ(request.error().field, bad.field) << request.error().message;
    EXPECT_EQ(request.error().code, bad.code) << request.error().message;
    EXPECT_NE(request.error().message.find(bad.says), std::string::npos) << request.error().message;
    EXPECT_TRUE(decoder_.decoded == before || bad.says == "this is no sound.")
        << "decoded before all else was read: " << bad.says;
  }
}

TEST(Transcript, InEveryFormat) {
  const Transcript transcript{.text = "One. Two\n-->.",
                              .segments = {{0.5, 2, "One."}, {3661.5, 3662.0004, "Two\n-->."}},
                              .duration_s = 3700.25,
                              .language = "English",
                              .usage = {.prompt_tokens = 30, .prompt_audio_tokens = 20, .completion_tokens = 5}};
  EXPECT_EQ(
      write_transcript(transcript, TranscriptFormat::json),
      R"({"text":"One. Two\n-->.","usage":{"type":"tokens","input_tokens":30,"input_token_details":{"text_tokens":10,"audio_tokens":20},"output_tokens":5,"total_tokens":35}})");
  EXPECT_EQ(write_transcript(transcript, TranscriptFormat::text), "One. Two\n-->.\n");
  EXPECT_EQ(write_transcript(transcript, TranscriptFormat::srt),
            "1\n00:00:00,500 --> 00:00:02,000\nOne.\n\n2\n01:01:01,500 --> 01:01:02,000\nTwo -- >.\n\n");
  EXPECT_EQ(write_transcript(transcript, TranscriptFormat::vtt),
            "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nOne.\n\n01:01:01.500 --> 01:01:02.000\nTwo -- >.\n\n");
  const std::string verbose = write_transcript(transcript, TranscriptFormat::verbose_json);
  EXPECT_TRUE(verbose.starts_with(
      R"({"task":"transcribe","language":"english","duration":3.70025E3,"text":"One. Two\n-->.","segments":[{"id":0,"seek":50,"start":5E-1,"end":2E0,"text":"One.")"))
      << verbose;
  EXPECT_TRUE(verbose.ends_with(R"("usage":{"type":"duration","seconds":3701}})")) << verbose;
}

TEST(Transcript, AsEvents) {
  EXPECT_EQ(transcript_event::delta("a \"b\""),
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"a \\\"b\\\"\"}\n\n");
  const std::string done = transcript_event::done("ab", {.prompt_tokens = 3, .completion_tokens = 2});
  EXPECT_TRUE(done.starts_with(R"(data: {"type":"transcript.text.done","text":"ab","usage":{"type":"tokens",)"))
      << done;
  EXPECT_TRUE(done.ends_with("}\n\ndata: [DONE]\n\n")) << done;
}

}  // namespace
}  // namespace calliope::api
