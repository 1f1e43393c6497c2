#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/speech_format.h"
#include "assistant/request.h"
#include "base/result.h"

namespace calliope::api {

/// Turns the bytes of a picture or a sound into pixels or samples. May block; called from worker threads.
class MediaDecoder {
 public:
  virtual ~MediaDecoder() = default;
  virtual Result<assistant::Image> image(std::span<const uint8_t> bytes) = 0;
  /// `format` is what the caller calls it ("wav", "mp3"...); the bytes decide.
  virtual Result<assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view format) = 0;
};

/// Remembers what spoken answers said, because a later request names them only by id.
class SpokenAnswers {
 public:
  virtual ~SpokenAnswers() = default;
  /// The transcript of the answer with this audio id; none when it is unknown or has expired.
  virtual std::optional<std::string> transcript(std::string_view audio_id) const = 0;
};

/// What one request may ask for at most.
struct ChatLimits {
  size_t messages = 4096;
  size_t media_parts = 1024;
  size_t decoded_bytes = 512u << 20;  ///< pixels and samples of one request together
  int default_max_tokens = 1024;
};

/// What parse_chat needs besides the body.
struct ChatContext {
  MediaDecoder& decoder;
  const SpokenAnswers* spoken_answers = nullptr;  ///< none: audio ids are refused
  std::span<const std::string> models = {};       ///< names served, the first when none is asked for; empty: any
  ChatLimits limits = {};
};

/// A chat-completions body in our own types.
struct ChatRequest {
  assistant::Request request;  ///< its id is left to the caller
  std::string model;
  bool stream = false;
  bool include_usage = false;                      ///< a usage chunk at the end of a stream
  SpeechFormat speech_format = SpeechFormat::wav;  ///< of the spoken answer, if request.speak
};

/// Reads a body of OpenAI's POST /v1/chat/completions and decodes its media. Fields it does not know are ignored; known
/// ones that ask for what cannot be done are refused. Errors name the field, as in
/// messages[0].content[1].image_url.url.
Result<ChatRequest> parse_chat(std::string_view body, const ChatContext& context);

}  // namespace calliope::api
