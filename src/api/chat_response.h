#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "assistant/event.h"

namespace calliope::api {

/// What every part of one answer repeats.
struct AnswerHead {
  std::string id;  ///< chatcmpl-...
  std::string model;
  int64_t created_s = 0;        ///< Unix time
  std::string audio_id = {};    ///< of the spoken answer; empty: text only
  int64_t audio_expires_s = 0;  ///< Unix time until which audio_id is remembered
};

/// A whole answer.
struct ChatAnswer {
  std::string text;
  std::vector<assistant::ToolCall> tool_calls = {};
  std::vector<uint8_t> audio;  ///< packed by encode_speech; used when the head has an audio_id
  assistant::FinishReason reason = assistant::FinishReason::stop;
  assistant::Usage usage;
};

/// The chat.completion object. A spoken answer's text is message.audio.transcript, and message.content is null; so it is
/// when there are only tool calls.
std::string chat_completion(const AnswerHead& head, const ChatAnswer& answer);

/// Writes an answer as server-sent events of chat.completion.chunk objects. Each function returns the bytes to send.
class ChatStream {
 public:
  ChatStream(AnswerHead head, bool include_usage) : head_(std::move(head)), include_usage_(include_usage) {}

  /// The first chunk: whose turn it is.
  std::string begin() const;
  std::string text(std::string_view delta) const;
  std::string audio(std::span<const float> samples) const;
  /// The answer's tool call number `index`, whole.
  std::string tool_call(size_t index, const assistant::ToolCall& call) const;
  /// The finish reason, the usage if asked for, and [DONE].
  std::string finish(const assistant::Finished& finished) const;
  /// A failure after the answer began: an error object, as OpenAI sends it, and nothing after it.
  static std::string fail(const Error& error);

 private:
  AnswerHead head_;
  bool include_usage_;
};

/// GET /v1/models.
std::string model_list(std::span<const std::string> models, int64_t created_s);
/// GET /v1/models/{id}.
std::string model_object(std::string_view model, int64_t created_s);

}  // namespace calliope::api
