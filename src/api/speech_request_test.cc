#include "api/speech_request.h"

#include <gtest/gtest.h>

namespace calliope::api {
namespace {

const std::vector<std::string> kModels = {"nano"}, kVoices = {"anna", "ben"};

Result<SpeechRequest> parse(std::string_view body) {
  return parse_speech(body, {.models = kModels, .voices = kVoices});
}

TEST(SpeechRequest, DefaultsAreOpenAis) {
  const auto request = parse(R"({"model":"nano","input":"Hello.","voice":"Anna"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->format, SpeechFormat::mp3);
  EXPECT_EQ(request->speed, 1);
  EXPECT_FALSE(request->events);
  EXPECT_EQ(request->request.voice, "anna");
  EXPECT_EQ(request->request.read_aloud, "Hello.");
  EXPECT_TRUE(request->request.turns.empty());
}

TEST(SpeechRequest, NamesTheFieldAtFault) {
  const struct {
    const char* body;
    const char* field;
  } cases[] = {
      {R"({"input":7})", "input"},
      {R"({"input":""})", "input"},
      {R"({"voice":"anna"})", "input"},
      {R"({"input":"a","voice":7})", "voice"},
      {R"({"input":"a","voice":{}})", "voice.id"},
      {R"({"input":"a","voice":{"id":"carl"}})", "voice.id"},
      {R"({"input":"a","speed":"fast"})", "speed"},
      {R"({"input":"a","speed":0.2})", "speed"},
      {R"({"input":"a","instructions":[]})", "instructions"},
      {R"({"input":"a","response_format":"x"})", "response_format"},
      {R"({"input":"a","stream_format":"x"})", "stream_format"},
      {R"({"input":"a","model":"other"})", "model"},
  };
  for (const auto& [body, field] : cases) {
    const auto request = parse(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().field, field) << body;
  }
  EXPECT_FALSE(parse("{"));
  EXPECT_FALSE(parse("7"));
}

TEST(SpeechRequest, UnknownVoicesAreToldWhichThereAre) {
  const auto voice = known_voice("alloy", kVoices);
  ASSERT_FALSE(voice);
  EXPECT_EQ(voice.error().message, "there is no voice 'alloy'; this model has: default, anna, ben.");
  EXPECT_EQ(*known_voice("BEN", kVoices), "ben");
  EXPECT_EQ(*known_voice("default", kVoices), "");
}

}  // namespace
}  // namespace calliope::api
