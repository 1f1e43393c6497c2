#include "api/chat_request.h"

#include <gtest/gtest.h>

#include <map>

namespace calliope::api {
namespace {

/// Makes a picture as wide as the bytes are many, and a sound as long; bytes that begin with 'X' are broken.
class FakeDecoder : public MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t> bytes) override {
    if (bytes[0] == 'X') return fail(ErrorCode::invalid_argument, "this is no picture.");
    const int width = static_cast<int>(bytes.size());
    return assistant::Image{.width = width, .height = 1, .rgb = std::vector<uint8_t>(bytes.size() * 3)};
  }
  Result<assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view format) override {
    if (bytes[0] == 'X') return fail(ErrorCode::invalid_argument, "this is no sound.");
    last_format = format;
    return assistant::Sound{.samples = std::vector<float>(bytes.size())};
  }
  std::string last_format;
};

class FakeAnswers : public SpokenAnswers {
 public:
  std::optional<std::string> transcript(std::string_view id) const override {
    if (id == "audio_1") return "Hello aloud.";
    return std::nullopt;
  }
};

class ParseChat : public testing::Test {
 protected:
  Result<ChatRequest> parse(std::string_view body) {
    return parse_chat(body, {.decoder = decoder_, .spoken_answers = &answers_, .models = models_, .limits = limits_});
  }
  /// A request with one user message whose content is given.
  Result<ChatRequest> parse_content(std::string_view content) {
    return parse(R"({"model":"nano","messages":[{"role":"user","content":)" + std::string(content) + "}]}");
  }
  /// The same with a further top-level field.
  Result<ChatRequest> parse_field(std::string_view field) {
    return parse(R"({"messages":[{"role":"user","content":"hi"}],)" + std::string(field) + "}");
  }
  FakeDecoder decoder_;
  FakeAnswers answers_;
  std::vector<std::string> models_ = {"nano", "calliope"};
  ChatLimits limits_;
};

TEST_F(ParseChat, ReadsToolsTheirCallsAndAnswers) {
  const auto chat = parse(R"({"tools":[{"type":"function","function":{"name":"f","description":"does","strict":true,
        "parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}},{"type":"function","function":{"name":"g"}}],
      "tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false,
      "messages":[{"role":"user","content":"hi"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"4"}]}]})");
  ASSERT_TRUE(chat) << chat.error().message;
  const auto& request = chat->request;
  ASSERT_EQ(request.tools.size(), 2u);
  EXPECT_EQ(request.tools[0].name, "f");
  EXPECT_EQ(request.tools[0].description, "does");
  EXPECT_EQ(request.tools[0].parameters, R"({"type":"object","properties":{"a":{"type":"integer"}}})");
  EXPECT_EQ(request.tools[1].parameters, "");
  EXPECT_EQ(request.tool_choice.kind, assistant::ToolChoice::Kind::named);
  EXPECT_EQ(request.tool_choice.name, "g");
  EXPECT_FALSE(request.parallel_tool_calls);
  ASSERT_EQ(request.turns.size(), 3u);
  ASSERT_EQ(request.turns[1].tool_calls.size(), 1u);
  EXPECT_TRUE(request.turns[1].parts.empty());
  EXPECT_EQ(request.turns[1].tool_calls[0].id, "call_1");
  EXPECT_EQ(request.turns[1].tool_calls[0].arguments, R"({"a":1})");
  EXPECT_EQ(request.turns[2].role, assistant::Role::tool);
  EXPECT_EQ(request.turns[2].tool_call_id, "call_1");
}

TEST_F(ParseChat, ReadsTheFormatOfTheAnswer) {
  EXPECT_EQ(parse_field(R"("response_format":{"type":"text"})")->request.json_schema, "");
  EXPECT_EQ(parse_field(R"("response_format":{"type":"json_object"})")->request.json_schema, R"({"type":"object"})");
  const auto chat = parse_field(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"integer"},"strict":true}})");
  ASSERT_TRUE(chat) << chat.error().message;
  EXPECT_EQ(chat->request.json_schema, R"({"type":"integer"})");
}

TEST_F(ParseChat, ReadsTextTurnsOfEveryRole) {
  const auto chat = parse(R"({"model":"calliope","messages":[
      {"role":"system","content":"Be brief."},
      {"role":"developer","content":[{"type":"text","text":"Be kind."}]},
      {"role":"user","content":"Hi","name":"Ada"},
      {"role":"assistant","content":"Hello."},
      {"role":"assistant","content":null,"audio":{"id":"audio_1"}},
      {"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},
      {"role":"user","content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]}],"unknown":{"a":[1]}})");
  ASSERT_TRUE(chat) << chat.error().message;
  using assistant::Role;
  const std::vector<std::pair<Role, std::vector<std::string>>> expected = {
      {Role::system, {"Be brief."}}, {Role::system, {"Be kind."}},        {Role::user, {"Hi"}},
      {Role::assistant, {"Hello."}}, {Role::assistant, {"Hello aloud."}}, {Role::assistant, {"No."}},
      {Role::user, {"A", "B"}}};
  ASSERT_EQ(chat->request.turns.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const assistant::Turn& turn = chat->request.turns[i];
    EXPECT_EQ(turn.role, expected[i].first) << i;
    ASSERT_EQ(turn.parts.size(), expected[i].second.size()) << i;
    for (size_t k = 0; k < turn.parts.size(); ++k)
      EXPECT_EQ(std::get<std::string>(turn.parts[k]), expected[i].second[k]);
  }
  EXPECT_EQ(chat->model, "calliope");
  EXPECT_FALSE(chat->stream);
  EXPECT_FALSE(chat->request.speak);
  EXPECT_FALSE(chat->request.sampling.temperature.has_value());
  EXPECT_FALSE(chat->request.sampling.seed.has_value());
  EXPECT_EQ(chat->request.max_tokens, limits_.default_max_tokens);
}

TEST_F(ParseChat, DecodesPicturesAndSoundsInTheirOrder) {
  const auto chat = parse_content(R"([
      {"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}},
      {"type":"text","text":"and"},
      {"type":"image_url","image_url":{"url":"data:image/PNG;base64,AAAAAAAA","detail":"low"}}])");
  ASSERT_TRUE(chat) << chat.error().message;
  const auto& parts = chat->request.turns[0].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(std::get<assistant::SoundPart>(parts[0])->samples.size(), 3u);
  EXPECT_EQ(decoder_.last_format, "mp3");
  EXPECT_EQ(std::get<std::string>(parts[1]), "and");
  EXPECT_EQ(std::get<assistant::ImagePart>(parts[2])->width, 6);
}

TEST_F(ParseChat, ReadsTheOtherFields) {
  const auto chat = parse_field(
      R"("model":"nano","stream":true,"stream_options":{"include_usage":true},"modalities":["text","audio"],
         "audio":{"voice":"alloy","format":"pcm16"},"temperature":0.5,"top_p":0.9,"top_k":40,"seed":-1,
         "max_tokens":10,"max_completion_tokens":20,"stop":["a","b"],"n":1,"frequency_penalty":0,
         "presence_penalty":0.0,"logprobs":false,"tools":[],"response_format":{"type":"text"},"user":"x")");
  ASSERT_TRUE(chat) << chat.error().message;
  EXPECT_TRUE(chat->stream);
  EXPECT_TRUE(chat->include_usage);
  EXPECT_TRUE(chat->request.speak);
  EXPECT_EQ(chat->request.voice, "alloy");
  EXPECT_EQ(chat->speech_format, SpeechFormat::pcm16);
  EXPECT_FLOAT_EQ(*chat->request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(*chat->request.sampling.top_p, 0.9f);
  EXPECT_EQ(*chat->request.sampling.top_k, 40);
  EXPECT_EQ(*chat->request.sampling.seed, ~uint64_t{0});
  EXPECT_EQ(chat->request.max_tokens, 20);
  EXPECT_EQ(chat->request.stop, (std::vector<std::string>{"a", "b"}));
}

TEST_F(ParseChat, NullIsTheSameAsAbsent) {
  const auto chat = parse_field(
      R"("model":null,"stream":null,"stream_options":null,"modalities":null,"audio":null,"temperature":null,"top_p":null,
         "seed":null,"max_tokens":null,"max_completion_tokens":null,"stop":null,"n":null,"logprobs":null,"tools":null)");
  ASSERT_TRUE(chat) << chat.error().message;
  EXPECT_EQ(chat->model, "nano");
}

TEST_F(ParseChat, VoiceMayBeAnObjectAndDefaultIsTheModelsOwn) {
  const auto object = parse_field(R"("modalities":["audio"],"audio":{"voice":{"id":"voice_1"},"format":"wav"})");
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(object->request.voice, "voice_1");
  const auto named = parse_field(R"("modalities":["audio"],"audio":{"voice":"default","format":"wav"})");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->request.voice, "");
}

struct BadCase {
  std::string body;
  ErrorCode code;
  std::string field;
  std::string says;  ///< part of the message
};

TEST_F(ParseChat, EveryMistakeNamesItsField) {
  const auto with = [](std::string field) { return R"({"messages":[{"role":"user","content":"hi"}],)" + field + "}"; };
  const auto message = [](std::string text) { return R"({"messages":[)" + text + "]}"; };
  const auto part = [&](std::string text) {
    return message(R"({"role":"user","content":[{"type":"text","text":"a"},)" + text + "]}");
  };
  constexpr auto kInvalid = ErrorCode::invalid_argument;
  constexpr auto kUnsupported = ErrorCode::unsupported;
  const std::vector<BadCase> cases = {
      {"", kInvalid, "", "empty"},
      {"  \n", kInvalid, "", "empty"},
      {"{\"messages\":[}", kInvalid, "", "line 1, column"},
      {"{} x", kInvalid, "", "more text"},
      {"\"\xff\"", kInvalid, "", "not valid JSON"},
      {std::string(100, '['), kInvalid, "", "not valid JSON"},
      {"[]", kInvalid, "", "must be a JSON object"},
      {with(R"("logit_bias":{"50256":-100})"), kUnsupported, "logit_bias", "not biased"},
      {with(R"("logit_bias":[])"), kInvalid, "logit_bias", "expected an object"},
      {"{}", kInvalid, "messages", "Missing"},
      {R"({"messages":"hi"})", kInvalid, "messages", "expected an array, but got a string"},
      {R"({"messages":[]})", kInvalid, "messages", "at least one"},
      {message("3"), kInvalid, "messages[0]", "expected an object, but got an integer"},
      {message(R"({"content":"x"})"), kInvalid, "messages[0].role", "Missing"},
      {message(R"({"role":7,"content":"x"})"), kInvalid, "messages[0].role", "a string"},
      {message(R"({"role":"king","content":"x"})"), kInvalid, "messages[0].role", "one of"},
      {message(R"({"role":"tool","content":"x"})"), kInvalid, "messages[0].tool_call_id", "Missing"},
      {message(R"({"role":"tool","content":"x","tool_call_id":"call_1"})"), kInvalid, "messages[0].tool_call_id", "no earlier"},
      {message(R"({"role":"function","content":"x","name":"f"})"), kUnsupported, "messages[0].role", "tool_call_id"},
      {message(R"({"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f"}}]})"), kInvalid,
       "messages[0].tool_calls[0].function.arguments", "Missing"},
      {message(R"({"role":"user"})"), kInvalid, "messages[0].content", "Missing"},
      {message(R"({"role":"user","content":{}})"), kInvalid, "messages[0].content", "a string or an array"},
      {message(R"({"role":"user","content":[]})"), kInvalid, "messages[0].content", "at least one"},
      {message(R"({"role":"assistant"})"), kInvalid, "messages[0].content", "Missing"},
      {message(R"({"role":"assistant","audio":{"id":"audio_9"}})"), kInvalid, "messages[0].audio.id", "transcript"},
      {message(R"({"role":"assistant","audio":{}})"), kInvalid, "messages[0].audio.id", "Missing"},
      {part("1"), kInvalid, "messages[0].content[1]", "an object"},
      {part(R"({"text":"x"})"), kInvalid, "messages[0].content[1].type", "Missing"},
      {part(R"({"type":"text"})"), kInvalid, "messages[0].content[1].text", "Missing"},
      {part(R"({"type":"video","video":1})"), kInvalid, "messages[0].content[1].type", "one of"},
      {part(R"({"type":"file","file":{}})"), kUnsupported, "messages[0].content[1].type", "files"},
      {part(R"({"type":"image_url","image_url":"data:,"})"), kInvalid, "messages[0].content[1].image_url", "an object"},
      {part(R"({"type":"image_url","image_url":{"url":1}})"), kInvalid, "messages[0].content[1].image_url.url",
       "a string"},
      {part(R"({"type":"image_url","image_url":{"url":"HTTPS://a.b/c.png"}})"), kUnsupported,
       "messages[0].content[1].image_url.url", "fetches nothing"},
      {part(R"({"type":"image_url","image_url":{"url":"/etc/passwd"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "data:"},
      {part(R"({"type":"image_url","image_url":{"url":"data:image/png,abc"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "base64"},
      {part(R"({"type":"image_url","image_url":{"url":"data:image/png;base64,"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "no data"},
      {part(R"({"type":"image_url","image_url":{"url":"data:text/html;base64,AAAA"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "text/html"},
      {part(R"({"type":"image_url","image_url":{"url":"data:image/png;base64,!!!!"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "base64"},
      {part(R"({"type":"image_url","image_url":{"url":"data:image/png;base64,WFhY"}})"), kInvalid,
       "messages[0].content[1].image_url.url", "no picture"},
      {part(R"({"type":"input_audio","input_audio":{"format":"wav"}})"), kInvalid,
       "messages[0].content[1].input_audio.data", "Missing"},
      {part(R"({"type":"input_audio","input_audio":{"data":"AAAA"}})"), kInvalid,
       "messages[0].content[1].input_audio.format", "Missing"},
      {part(R"({"type":"input_audio","input_audio":{"data":"AAAA","format":"midi"}})"), kInvalid,
       "messages[0].content[1].input_audio.format", "one of"},
      {part(R"({"type":"input_audio","input_audio":{"data":"","format":"wav"}})"), kInvalid,
       "messages[0].content[1].input_audio.data", "empty"},
      {part(R"({"type":"input_audio","input_audio":{"data":"WFhY","format":"wav"}})"), kInvalid,
       "messages[0].content[1].input_audio.data", "no sound"},
      {message(R"({"role":"system","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]})"),
       kInvalid, "messages[0].content[0].type", "only user"},
      {with(R"("model":3)"), kInvalid, "model", "a string"},
      {with(R"("model":"gpt-4o")"), ErrorCode::not_found, "model", "nano, calliope"},
      {with(R"("stream":"yes")"), kInvalid, "stream", "a boolean, but got a string"},
      {with(R"("stream_options":{"include_usage":true})"), kInvalid, "stream_options", "stream=true"},
      {with(R"("stream":true,"stream_options":{"include_usage":1})"), kInvalid, "stream_options.include_usage",
       "a boolean"},
      {with(R"("modalities":"audio")"), kInvalid, "modalities", "an array"},
      {with(R"("modalities":[])"), kInvalid, "modalities", "at least one"},
      {with(R"("modalities":["text","smell"])"), kInvalid, "modalities[1]", "'text' or 'audio'"},
      {with(R"("modalities":["audio"],"audio":"x")"), kInvalid, "audio", "an object"},
      {with(R"("modalities":["audio"],"audio":{"voice":1,"format":"wav"})"), kInvalid, "audio.voice",
       "a string or an object"},
      {with(R"("modalities":["audio"],"audio":{"voice":"a","format":"vinyl"})"), kInvalid, "audio.format", "one of"},
      {with(R"("stream":true,"modalities":["audio"],"audio":{"voice":"a","format":"wav"})"), kUnsupported,
       "audio.format", "pcm16"},
      {with(R"("temperature":"hot")"), kInvalid, "temperature", "a number"},
      {with(R"("temperature":2.5)"), kInvalid, "temperature", "between 0 and 2"},
      {with(R"("temperature":-1)"), kInvalid, "temperature", "between 0 and 2"},
      {with(R"("top_p":1.5)"), kInvalid, "top_p", "between 0 and 1"},
      {with(R"("seed":1.5)"), kInvalid, "seed", "an integer"},
      {with(R"("seed":1e300)"), kInvalid, "seed", "between"},
      {with(R"("max_tokens":0)"), kInvalid, "max_tokens", "between 1"},
      {with(R"("max_completion_tokens":99999999999999999999)"), kInvalid, "max_completion_tokens", "between 1"},
      {with(R"("stop":1)"), kInvalid, "stop", "a string or an array"},
      {with(R"("stop":["a",2])"), kInvalid, "stop[1]", "a string"},
      {with(R"("stop":["a",""])"), kInvalid, "stop[1]", "empty"},
      {with(R"("stop":["1","2","3","4","5"])"), kInvalid, "stop", "at most 4"},
      {with(R"("n":2)"), kUnsupported, "n", "one answer"},
      {with(R"("n":0)"), kInvalid, "n", "between 1"},
      {with(R"("logprobs":true)"), kUnsupported, "logprobs", "not given"},
      {with(R"("frequency_penalty":1)"), kUnsupported, "frequency_penalty", "not applied"},
      {with(R"("tools":[{}])"), kInvalid, "tools[0].type", "Missing"},
      {with(R"("tools":[{"type":"custom","custom":{"name":"f"}}])"), kUnsupported, "tools[0].type", "functions only"},
      {with(R"("tools":[{"type":"function","function":{"name":"a b"}}])"), kInvalid, "tools[0].function.name", "letters"},
      {with(R"("tools":[{"type":"function","function":{"name":"f","parameters":"x"}}])"), kInvalid,
       "tools[0].function.parameters", "an object"},
      {with(R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}])"), kInvalid,
       "tools[1]", "two tools"},
      {with(R"("tool_choice":"required")"), kInvalid, "tool_choice", "needs tools"},
      {with(R"("tool_choice":{"type":"function","function":{"name":"g"}})"), kInvalid, "tool_choice.function.name", "no tool"},
      {with(R"("tool_choice":"maybe")"), kInvalid, "tool_choice", "'auto'"},
      {with(R"("parallel_tool_calls":1)"), kInvalid, "parallel_tool_calls", "boolean"},
      {with(R"("functions":[])"), kUnsupported, "functions", "out of use"},
      {with(R"("response_format":{"type":"yaml"})"), kInvalid, "response_format.type", "json_schema"},
      {with(R"("response_format":{"type":"json_schema"})"), kInvalid, "response_format.json_schema", "Missing"},
  };
  for (const BadCase& bad : cases) {
    const auto chat = parse(bad.body);
    ASSERT_FALSE(chat) << bad.body;
    EXPECT_EQ(chat.error().code, bad.code) << bad.body << ": " << chat.error().message;
    EXPECT_EQ(chat.error().field, bad.field) << bad.body << ": " << chat.error().message;
    EXPECT_NE(chat.error().message.find(bad.says), std::string::npos) << bad.body << ": " << chat.error().message;
  }
}

TEST_F(ParseChat, HoldsItsLimits) {
  limits_.media_parts = 1;
  const std::string image = R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}})";
  EXPECT_TRUE(parse_content("[" + image + "]"));
  EXPECT_EQ(parse_content("[" + image + "," + image + "]").error().field, "messages[0].content[1].type");
  limits_.media_parts = 10;
  limits_.decoded_bytes = 10;  // one of these pictures has 9 bytes
  EXPECT_TRUE(parse_content("[" + image + "]"));
  EXPECT_EQ(parse_content("[" + image + "," + image + "]").error().code, ErrorCode::too_large);
  limits_.messages = 1;
  const auto two = parse(R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})");
  EXPECT_EQ(two.error().field, "messages");
}

}  // namespace
}  // namespace calliope::api
