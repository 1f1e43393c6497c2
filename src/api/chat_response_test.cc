#include "api/chat_response.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/error_json.h"
#include "api/speech_format.h"

namespace calliope::api {
namespace {

namespace json = boost::json;

const AnswerHead kText = {.id = "chatcmpl-1", .model = "nano", .created_s = 1700000000};
const AnswerHead kSpoken = {
    .id = "chatcmpl-2", .model = "nano", .created_s = 1700000000, .audio_id = "audio_1", .audio_expires_s = 1700003600};
const assistant::Usage kUsage = {.prompt_tokens = 30,
                                 .prompt_audio_tokens = 5,
                                 .prompt_image_tokens = 10,
                                 .prompt_cached_tokens = 12,
                                 .completion_tokens = 7,
                                 .completion_audio_frames = 20};

/// The objects of a stream; checks the framing. "[DONE]" becomes a string.
std::vector<json::value> events(std::string_view bytes) {
  std::vector<json::value> result;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\n\n");
    EXPECT_TRUE(bytes.starts_with("data: ")) << bytes;
    EXPECT_NE(end, std::string_view::npos);
    const std::string_view data = bytes.substr(6, end - 6);
    EXPECT_EQ(data.find('\n'), std::string_view::npos);
    result.push_back(data == "[DONE]" ? json::value("[DONE]")
                                      : json::parse(json::string_view(data.data(), data.size())));
    bytes.remove_prefix(end + 2);
  }
  return result;
}

const json::value& choice(const json::value& event) { return event.at("choices").at(0); }

TEST(ChatCompletion, ToolCallsWholeAndStreamed) {
  const assistant::ToolCall call{"call_1", "f", R"({"a": 1})"};
  const json::value root = json::parse(chat_completion(kText, {.tool_calls = {call}, .reason = assistant::FinishReason::tool_calls}));
  const json::value& message = choice(root).at("message");
  EXPECT_TRUE(message.at("content").is_null());
  EXPECT_EQ(message.at("tool_calls"), json::parse(R"([{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}])"));
  EXPECT_EQ(choice(root).at("finish_reason"), "tool_calls");
  const json::value both = json::parse(chat_completion(kText, {.text = "Well.", .tool_calls = {call, call}}));
  EXPECT_EQ(choice(both).at("message").at("content"), "Well.");
  EXPECT_EQ(choice(both).at("message").at("tool_calls").as_array().size(), 2u);

  const ChatStream stream(kText, false);
  const auto sent = events(stream.tool_call(1, call) + stream.finish({.reason = assistant::FinishReason::tool_calls}));
  const json::value& delta = choice(sent[0]).at("delta").at("tool_calls").at(0);
  EXPECT_EQ(delta.at("index"), 1);
  EXPECT_EQ(delta.at("id"), "call_1");
  EXPECT_EQ(delta.at("function").at("arguments"), R"({"a": 1})");
  EXPECT_EQ(choice(sent[1]).at("finish_reason"), "tool_calls");
}

TEST(ChatCompletion, TextAnswer) {
  const json::value root = json::parse(chat_completion(kText, {.text = "Hi \"you\"\n", .usage = kUsage}));
  EXPECT_EQ(root.at("id"), "chatcmpl-1");
  EXPECT_EQ(root.at("object"), "chat.completion");
  EXPECT_EQ(root.at("created"), 1700000000);
  EXPECT_EQ(root.at("model"), "nano");
  const json::value& message = choice(root).at("message");
  EXPECT_EQ(choice(root).at("finish_reason"), "stop");
  EXPECT_EQ(message.at("role"), "assistant");
  EXPECT_EQ(message.at("content"), "Hi \"you\"\n");
  EXPECT_TRUE(message.at("refusal").is_null());
  EXPECT_FALSE(message.as_object().contains("audio"));
  EXPECT_EQ(root.at("usage").at("prompt_tokens"), 30);
  EXPECT_EQ(root.at("usage").at("completion_tokens"), 27);
  EXPECT_EQ(root.at("usage").at("total_tokens"), 57);
  EXPECT_EQ(root.at("usage").at("prompt_tokens_details").at("cached_tokens"), 12);
  EXPECT_EQ(root.at("usage").at("prompt_tokens_details").at("audio_tokens"), 5);
  EXPECT_EQ(root.at("usage").at("prompt_tokens_details").at("text_tokens"), 15);
  EXPECT_EQ(root.at("usage").at("completion_tokens_details").at("audio_tokens"), 20);
}

TEST(ChatCompletion, SpokenAnswerHasItsTextInTheTranscript) {
  const ChatAnswer answer = {.text = "Hi", .audio = {1, 2, 3}, .reason = assistant::FinishReason::length};
  const json::value root = json::parse(chat_completion(kSpoken, answer));
  const json::value& message = choice(root).at("message");
  EXPECT_TRUE(message.at("content").is_null());
  EXPECT_EQ(json::serialize(message.at("audio")),
            R"({"id":"audio_1","data":"AQID","expires_at":1700003600,"transcript":"Hi"})");
  EXPECT_EQ(choice(root).at("finish_reason"), "length");
}

TEST(ChatStream, TextAnswer) {
  const ChatStream stream(kText, true);
  const auto all = events(stream.begin() + stream.text("He\nllo") + stream.finish({.usage = kUsage}));
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(choice(all[0]).at("delta").at("role"), "assistant");
  EXPECT_EQ(choice(all[0]).at("delta").at("content"), "");
  EXPECT_EQ(choice(all[1]).at("delta").at("content"), "He\nllo");
  EXPECT_TRUE(choice(all[1]).at("finish_reason").is_null());
  EXPECT_TRUE(choice(all[2]).at("delta").as_object().empty());
  EXPECT_EQ(choice(all[2]).at("finish_reason"), "stop");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i].at("object"), "chat.completion.chunk");
    EXPECT_EQ(all[i].at("id"), "chatcmpl-1");
    EXPECT_TRUE(all[i].at("usage").is_null());
  }
  EXPECT_TRUE(all[3].at("choices").as_array().empty());
  EXPECT_EQ(all[3].at("usage").at("total_tokens"), 57);
  EXPECT_EQ(all[4], "[DONE]");
}

TEST(ChatStream, SpokenAnswer) {
  const ChatStream stream(kSpoken, false);
  const std::vector<float> samples = {0.0f, 1.0f, -1.0f, 2.0f};
  const auto all = events(stream.begin() + stream.text("Hi") + stream.audio(samples) + stream.finish({}));
  ASSERT_EQ(all.size(), 6u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(choice(all[i]).at("delta").at("audio").at("id"), "audio_1");
    EXPECT_FALSE(choice(all[i]).at("delta").as_object().contains("content"));
    EXPECT_FALSE(all[i].as_object().contains("usage"));
  }
  EXPECT_EQ(choice(all[1]).at("delta").at("audio").at("transcript"), "Hi");
  EXPECT_EQ(choice(all[2]).at("delta").at("audio").at("data"), "AAD/fwGA/38=");  // 0, 32767, -32767, 32767
  EXPECT_EQ(choice(all[3]).at("delta").at("audio").at("expires_at"), 1700003600);
  EXPECT_EQ(choice(all[4]).at("finish_reason"), "stop");
  EXPECT_EQ(all[5], "[DONE]");
}

TEST(ErrorReply, HasOpenAIsShapeAndStatus) {
  const auto status = [](ErrorCode code, ErrorStage stage = ErrorStage::request) {
    return error_reply({code, "m", "f"}, stage).status;
  };
  EXPECT_EQ(status(ErrorCode::invalid_argument), 400);
  EXPECT_EQ(status(ErrorCode::unsupported), 400);
  EXPECT_EQ(status(ErrorCode::not_found), 404);
  EXPECT_EQ(status(ErrorCode::too_large), 413);
  EXPECT_EQ(status(ErrorCode::too_large, ErrorStage::engine), 400);
  EXPECT_EQ(status(ErrorCode::unavailable), 429);
  EXPECT_EQ(status(ErrorCode::internal), 500);
  EXPECT_EQ(
      error_reply({ErrorCode::not_found, "no \"x\"", "model"}).body,
      R"({"error":{"message":"no \"x\"","type":"invalid_request_error","param":"model","code":"model_not_found"}})");
  EXPECT_EQ(error_reply({.status = 401, .message = "m"}).body,
            R"({"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}})");
}

TEST(Models, ListAndObject) {
  const std::vector<std::string> names = {"nano", "other"};
  EXPECT_EQ(model_list(names, 5),
            R"({"object":"list","data":[{"id":"nano","object":"model","created":5,"owned_by":"calliope"},)"
            R"({"id":"other","object":"model","created":5,"owned_by":"calliope"}]})");
  EXPECT_EQ(model_object("nano", 5), R"({"id":"nano","object":"model","created":5,"owned_by":"calliope"})");
}

}  // namespace
}  // namespace calliope::api
