#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "api/realtime_client_event.h"
#include "api/realtime_server_event.h"
#include "media/base64.h"

namespace calliope::api::realtime {
namespace {

namespace json = boost::json;

class OnePixel : public MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t> bytes) override {
    if (bytes.size() < 3) return fail(ErrorCode::invalid_argument, "this is no picture.");
    return assistant::Image{.width = 1, .height = 1, .rgb = {1, 2, 3}};
  }
  Result<assistant::Sound> sound(std::span<const uint8_t>, std::string_view) override {
    return fail(ErrorCode::invalid_argument, "no sound.");
  }
};

class RealtimeEvents : public testing::Test {
 protected:
  std::expected<ClientEvent, BadEvent> parse(std::string_view text) {
    return parse_client_event(text, {.decoder = decoder_, .session = session_, .models = models_});
  }
  /// The event, which must be well formed.
  template <class T>
  T read(std::string_view text) {
    auto event = parse(text);
    EXPECT_TRUE(event) << text << ": " << event.error().error.message;
    const T* body = event ? std::get_if<T>(&event->body) : nullptr;
    EXPECT_NE(body, nullptr) << text;
    return body != nullptr ? *body : T{};
  }
  Session update(std::string_view session) {
    return read<UpdateSession>("{\"type\":\"session.update\",\"session\":" + std::string(session) + "}").session;
  }
  void expect_error(std::string_view text, std::string_view param, std::string_view message_part) {
    const auto event = parse(text);
    ASSERT_FALSE(event) << text;
    EXPECT_EQ(event.error().error.field, param) << text;
    EXPECT_NE(event.error().error.message.find(message_part), std::string::npos) << event.error().error.message;
  }

  OnePixel decoder_;
  Session session_{.model = "nano"};
  std::vector<std::string> models_ = {"nano", "other"};
};

json::object written(const ServerEvent& event, Dialect dialect = Dialect::ga) {
  return json::parse(to_json(event, "event_1", dialect)).as_object();
}

TEST_F(RealtimeEvents, SessionFieldsOfGaAndBetaMeanTheSame) {
  for (const char* text : {
           R"({"type":"realtime","output_modalities":["text"],"instructions":"Be brief.","max_output_tokens":7,
               "audio":{"input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"whisper-1"},
                                 "turn_detection":{"type":"server_vad","threshold":0.7,"prefix_padding_ms":100,
                                                   "silence_duration_ms":200,"create_response":false}},
                        "output":{"format":{"type":"audio/pcma"},"voice":"v","speed":1.0}},
               "tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
               "tool_choice":{"type":"function","name":"f"}})",
           R"({"modalities":["text"],"instructions":"Be brief.","max_response_output_tokens":7,
               "input_audio_format":"g711_ulaw","output_audio_format":"g711_alaw","voice":"v",
               "input_audio_transcription":{"model":"whisper-1"},
               "turn_detection":{"type":"server_vad","threshold":0.7,"prefix_padding_ms":100,
                                 "silence_duration_ms":200,"create_response":false},
               "tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
               "tool_choice":{"type":"function","name":"f"}})"}) {
    const Session session = update(text);
    EXPECT_FALSE(session.speak);
    EXPECT_EQ(session.instructions, "Be brief.");
    EXPECT_EQ(session.max_output_tokens, 7);
    EXPECT_EQ(session.input_format, media::WireFormat::mulaw);
    EXPECT_EQ(session.output_format, media::WireFormat::alaw);
    EXPECT_EQ(session.transcription.value().model, "whisper-1");
    EXPECT_EQ(session.turn_detection.threshold, 0.7);
    EXPECT_EQ(session.turn_detection.prefix_padding_ms, 100);
    EXPECT_EQ(session.turn_detection.silence_duration_ms, 200);
    EXPECT_FALSE(session.turn_detection.create_response);
    EXPECT_TRUE(session.turn_detection.interrupt_response);
    EXPECT_EQ(session.voice, "v");
    EXPECT_EQ(session.tools.at(0).parameters, R"({"type":"object"})");
    EXPECT_EQ(session.tool_choice.name, "f");
    EXPECT_EQ(session.model, "nano");
  }
}

TEST_F(RealtimeEvents, AnUpdateChangesOnlyWhatItNames) {
  session_.instructions = "Stay.";
  session_.turn_detection.threshold = 0.9;
  session_.transcription = Transcription{.model = "m"};
  Session session = update(R"({"type":"realtime","audio":{"output":{"voice":"w"}}})");
  EXPECT_EQ(session.instructions, "Stay.");
  EXPECT_EQ(session.turn_detection.threshold, 0.9);
  EXPECT_TRUE(session.transcription);
  session = update(R"({"audio":{"input":{"turn_detection":null,"transcription":null}}})");
  EXPECT_EQ(session.turn_detection.kind, TurnDetection::Kind::none);
  EXPECT_FALSE(session.transcription);
  session = update(R"({"audio":{"input":{"turn_detection":{"type":"semantic_vad","eagerness":"low"}}}})");
  EXPECT_EQ(session.turn_detection.kind, TurnDetection::Kind::semantic_vad);
  EXPECT_EQ(session.turn_detection.eagerness, TurnDetection::Eagerness::low);
}

TEST_F(RealtimeEvents, ComplaintsNameTheField) {
  const auto session = [](std::string_view json) {
    return R"({"type":"session.update","session":)" + std::string(json) + "}";
  };
  expect_error(session(R"({"audio":{"input":{"format":{"type":"audio/pcm","rate":16000}}}})"),
               "session.audio.input.format.rate", "24000 Hz");
  expect_error(session(R"({"audio":{"input":{"format":{"type":"audio/opus"}}}})"), "session.audio.input.format.type",
               "audio/pcm");
  expect_error(session(R"({"audio":{"input":{"turn_detection":{"type":"server_vad","threshold":2}}}})"),
               "session.audio.input.turn_detection.threshold", "between 0 and 1");
  expect_error(session(R"({"model":"gpt-realtime"})"), "session.model", "nano");
  expect_error(session(R"({"tools":[{"type":"mcp"}]})"), "session.tools[0].type", "MCP");
  expect_error(session(R"({"tool_choice":"required"})"), "session.tool_choice", "needs tools");
  expect_error(session(R"({"audio":{"output":{"speed":1.2}}})"), "session.audio.output.speed", "own speed");
  expect_error(R"({"type":"session.update"})", "session", "Missing");
  expect_error(R"({"type":"input_audio_buffer.append","audio":"@@"})", "audio", "base64");
  expect_error(R"({"type":"input_audio_buffer.append","audio":"AAAA"})", "audio", "even number");
  expect_error(R"({"type":"input_audio_buffer.append"})", "audio", "Missing");
  expect_error(
      R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"text"}]}})",
      "item.content[0].type", "input_text");
  expect_error(R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[
                   {"type":"input_image","image_url":"https://x/y.png"}]}})",
               "item.content[0].image_url", "");
  expect_error(R"({"type":"conversation.item.truncate","item_id":"a","content_index":0,"audio_end_ms":-1})",
               "audio_end_ms", "between");
  expect_error(R"({"type":"response.create","response":{"conversation":"other"}})", "response.conversation",
               "'auto' or 'none'");
  expect_error(R"({"type":"response.create","response":{"metadata":{"a":1}}})", "response.metadata.a", "string");
  expect_error(R"({"type":"nonsense"})", "type", "no event");
  expect_error(R"({"event_id":"e"})", "type", "Missing");
  expect_error("[]", "", "JSON object");
  expect_error("{", "", "The event is not valid JSON");
}

TEST_F(RealtimeEvents, AnErrorKnowsItsEvent) {
  const auto event = parse(R"({"event_id":"mine","type":"conversation.item.delete"})");
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().event_id, "mine");
  const json::object out = written(ErrorEvent{event.error().error, event.error().event_id, event.error().code});
  EXPECT_EQ(json::serialize(out),
            R"({"type":"error","event_id":"event_1","error":{"type":"invalid_request_error","code":"invalid_value",)"
            R"("message":"Missing required parameter: 'item_id'.","param":"item_id","event_id":"mine"}})");
}

TEST_F(RealtimeEvents, SoundsOfItemsBecome16Khz) {
  std::vector<uint8_t> bytes(2 * 2400);  // 100 ms
  for (size_t i = 0; i < bytes.size(); i += 2) bytes[i + 1] = 0x20;
  const auto event = read<CreateItem>(
      R"({"type":"conversation.item.create","previous_item_id":"root","item":{"type":"message",
      "role":"user","content":[{"type":"input_audio","audio":")" +
      media::encode_base64(bytes) +
      R"("},{"type":"input_image","image_url":"data:image/png;base64,AAAA"},{"type":"input_text","text":"hi"}]}})");
  EXPECT_EQ(event.previous_item_id, "root");
  ASSERT_EQ(event.item.content.size(), 3u);
  EXPECT_EQ(event.item.content[0].sound->samples.size(), 1600u);
  EXPECT_NEAR(event.item.content[0].sound->samples[800], 0.25f, 0.01f);
  EXPECT_EQ(event.item.content[1].image->rgb.size(), 3u);
  EXPECT_EQ(event.item.content[2].text, "hi");
  // And back, when it is retrieved.
  const json::object out = written(ItemRetrieved{event.item, media::WireFormat::pcm16});
  const auto& content = out.at("item").at("content").as_array();
  EXPECT_EQ(media::decode_base64(content[0].at("audio").as_string()).value().size(), bytes.size());
  EXPECT_FALSE(written(ItemAdded{event.item, ""}).at("item").at("content").at(0).as_object().contains("audio"));
}

TEST_F(RealtimeEvents, ResponseCreateOverrides) {
  const auto event = read<CreateResponse>(R"({"type":"response.create","response":{"output_modalities":["text"],
      "conversation":"none","instructions":"Name the topic.","max_output_tokens":"inf","metadata":{"a":"b"},
      "input":[{"type":"item_reference","id":"item_1"},
               {"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},
               {"type":"function_call_output","call_id":"c","output":"4"}]}})");
  EXPECT_TRUE(event.params.out_of_band);
  EXPECT_EQ(event.params.speak, false);
  ASSERT_TRUE(event.params.max_output_tokens);
  EXPECT_FALSE(*event.params.max_output_tokens);
  ASSERT_EQ(event.params.input->size(), 3u);
  EXPECT_EQ(event.params.input->at(0).kind, Item::Kind::reference);
  EXPECT_EQ(event.params.input->at(2).call.id, "c");
  EXPECT_EQ(event.params.metadata, (Metadata{{"a", "b"}}));
}

TEST(RealtimeServerEvents, NamesFollowTheDialect) {
  const Place place{.response_id = "r", .item_id = "i", .output_index = 1, .content_index = 0};
  const struct {
    ServerEvent event;
    const char *ga, *beta;
  } cases[] = {
      {AudioDelta{place, {1, 2}}, "response.output_audio.delta", "response.audio.delta"},
      {AudioDone{place}, "response.output_audio.done", "response.audio.done"},
      {TextDelta{place, true, "a"}, "response.output_audio_transcript.delta", "response.audio_transcript.delta"},
      {TextDone{place, true, "a"}, "response.output_audio_transcript.done", "response.audio_transcript.done"},
      {TextDelta{place, false, "a"}, "response.output_text.delta", "response.text.delta"},
      {TextDone{place, false, "a"}, "response.output_text.done", "response.text.done"},
      {ItemAdded{}, "conversation.item.added", "conversation.item.created"},
      {ResponseDone{}, "response.done", "response.done"},
  };
  for (const auto& [event, ga, beta] : cases) {
    EXPECT_EQ(written(event).at("type").as_string(), ga);
    EXPECT_EQ(written(event, Dialect::beta).at("type").as_string(), beta);
  }
  EXPECT_EQ(written(AudioDelta{place, {1, 2}}).at("delta").as_string(), "AQI=");
  EXPECT_EQ(written(AudioDelta{place, {1, 2}}).at("output_index").as_int64(), 1);
  EXPECT_EQ(to_json(ItemDone{}, "e", Dialect::beta), "");
}

TEST(RealtimeServerEvents, SessionsAndResponsesInBothShapes) {
  Session session{.model = "nano"};
  const auto ga = written(SessionCreated{session, "sess_1", 99}).at("session");
  EXPECT_EQ(ga.at("type").as_string(), "realtime");
  EXPECT_EQ(ga.at("output_modalities").at(0).as_string(), "audio");
  EXPECT_EQ(ga.at("audio").at("input").at("format").at("rate").as_int64(), 24000);
  EXPECT_EQ(ga.at("audio").at("input").at("turn_detection").at("silence_duration_ms").as_int64(), 500);
  EXPECT_EQ(ga.at("max_output_tokens").as_string(), "inf");
  const auto beta = written(SessionCreated{session, "sess_1", 99}, Dialect::beta).at("session");
  EXPECT_EQ(beta.at("modalities").as_array().size(), 2u);
  EXPECT_EQ(beta.at("input_audio_format").as_string(), "pcm16");
  EXPECT_EQ(beta.at("max_response_output_tokens").as_string(), "inf");

  ResponseView view{.id = "r", .status = ResponseView::Status::cancelled, .reason = "turn_detected"};
  view.usage = assistant::Usage{
      .prompt_tokens = 10, .prompt_audio_tokens = 4, .completion_tokens = 3, .completion_audio_frames = 5};
  const auto response = written(ResponseDone{view}).at("response");
  EXPECT_EQ(response.at("status").as_string(), "cancelled");
  EXPECT_EQ(response.at("status_details").at("reason").as_string(), "turn_detected");
  EXPECT_EQ(response.at("usage").at("total_tokens").as_int64(), 18);
  EXPECT_EQ(response.at("usage").at("input_token_details").at("text_tokens").as_int64(), 6);
  EXPECT_TRUE(response.at("conversation_id").is_null());
}

TEST(ClientSecrets, RequestAndReply) {
  const Session defaults{.model = "nano"};
  EXPECT_EQ(parse_client_secret("", defaults, {}).value().seconds, 600);
  const auto request = parse_client_secret(
      R"({"expires_after":{"anchor":"created_at","seconds":20},"session":{"type":"realtime","instructions":"Hi."}})",
      defaults, {});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->seconds, 20);
  EXPECT_EQ(request->session.instructions, "Hi.");
  EXPECT_EQ(parse_client_secret(R"({"expires_after":{"seconds":5}})", defaults, {}).error().field,
            "expires_after.seconds");
  const auto reply = json::parse(client_secret_json("ek_1", 7, request->session, "sess_2"));
  EXPECT_EQ(reply.at("value").as_string(), "ek_1");
  EXPECT_EQ(reply.at("expires_at").as_int64(), 7);
  EXPECT_EQ(reply.at("session").at("instructions").as_string(), "Hi.");
}

}  // namespace
}  // namespace calliope::api::realtime
