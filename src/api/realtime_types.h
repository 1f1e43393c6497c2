#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "assistant/event.h"
#include "assistant/request.h"
#include "base/result.h"
#include "media/wire_sound.h"

/// OpenAI's Realtime API in plain types: what a session is set to, what its conversation holds, what goes to and fro.
namespace calliope::api::realtime {

/// GA, or the beta's names of events, fields and content types.
enum class Dialect { ga, beta };

/// When the person's turn begins and ends.
struct TurnDetection {
  enum class Kind { none, server_vad, semantic_vad } kind = Kind::server_vad;
  double threshold = 0.5;  ///< [0, 1]
  int prefix_padding_ms = 300;
  int silence_duration_ms = 500;
  std::optional<int> idle_timeout_ms = {};
  enum class Eagerness { automatic, low, medium, high } eagerness = Eagerness::automatic;
  bool create_response = true;
  bool interrupt_response = true;
};

/// That what a person says shall be written down, too.
struct Transcription {
  std::string model;
  std::string language;
  std::string prompt;
};

/// What happens when the conversation outgrows the model's context.
struct Truncation {
  enum class Kind { automatic, disabled, retention_ratio } kind = Kind::automatic;
  double retention_ratio = 0.8;
};

/// What a session is set to: session.update, or what a client secret is bound to.
struct Session {
  bool transcription_only = false;  ///< type "transcription": it listens and never answers
  std::string model;
  bool speak = true;  ///< output_modalities ["audio"]; otherwise ["text"]
  std::string instructions;
  media::WireFormat input_format = media::WireFormat::pcm16;
  media::WireFormat output_format = media::WireFormat::pcm16;
  std::optional<Transcription> transcription = {};
  std::string noise_reduction;  ///< empty, near_field or far_field
  TurnDetection turn_detection = {};
  std::string voice = "default";
  std::vector<assistant::Tool> tools = {};
  assistant::ToolChoice tool_choice = {};
  std::optional<int> max_output_tokens = {};  ///< none: "inf"
  std::optional<double> temperature = {};
  Truncation truncation = {};
};

/// One piece of a message. `text` is what was written, or the transcript of what was said.
struct Content {
  enum class Kind { input_text, input_audio, input_image, output_text, output_audio } kind = Kind::input_text;
  std::string text = {};
  assistant::SoundPart sound = {};  ///< of input_audio; null when it is no longer kept
  assistant::ImagePart image = {};  ///< of input_image
  bool transcribed = false;         ///< input_audio: `text` is known
};

enum class ItemStatus { completed, incomplete, in_progress };

/// One item of a conversation.
struct Item {
  enum class Kind { message, function_call, function_call_output, reference } kind = Kind::message;
  std::string id;
  ItemStatus status = ItemStatus::completed;
  assistant::Role role = assistant::Role::user;  ///< of a message
  std::vector<Content> content = {};             ///< of a message
  assistant::ToolCall call = {};                 ///< of a function_call; of its output only the id
  std::string output = {};                       ///< of a function_call_output
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

/// response.create: what differs from the session for this response.
struct ResponseParams {
  std::optional<bool> speak = {};
  std::optional<std::string> instructions = {};
  std::optional<media::WireFormat> output_format = {};
  std::optional<std::string> voice = {};
  std::optional<std::vector<assistant::Tool>> tools = {};
  std::optional<assistant::ToolChoice> tool_choice = {};
  std::optional<std::optional<int>> max_output_tokens = {};
  std::optional<double> temperature = {};
  bool out_of_band = false;                     ///< conversation: none
  std::optional<std::vector<Item>> input = {};  ///< instead of the conversation
  Metadata metadata = {};
};

// What a client sends.
struct UpdateSession {
  Session session;
};
struct AppendInput {
  std::vector<uint8_t> bytes;
};
struct CommitInput {};
struct ClearInput {};
struct ClearOutput {};
/// `previous_item_id`: none for the end of the conversation, "root" for its beginning.
struct CreateItem {
  Item item;
  std::optional<std::string> previous_item_id;
};
struct DeleteItem {
  std::string item_id;
};
struct RetrieveItem {
  std::string item_id;
};
struct TruncateItem {
  std::string item_id;
  int64_t content_index = 0;
  int64_t audio_end_ms = 0;
};
struct CreateResponse {
  ResponseParams params;
};
struct CancelResponse {
  std::optional<std::string> response_id;
};

struct ClientEvent {
  std::string event_id;  ///< the client's own; may be empty
  std::variant<UpdateSession, AppendInput, CommitInput, ClearInput, ClearOutput, CreateItem, DeleteItem, RetrieveItem,
               TruncateItem, CreateResponse, CancelResponse>
      body;
};

/// A response as its events show it.
struct ResponseView {
  std::string id;
  enum class Status { in_progress, completed, cancelled, failed, incomplete } status = Status::in_progress;
  std::string reason = {};  ///< turn_detected, client_cancelled, max_output_tokens
  std::optional<Error> error = {};
  std::vector<Item> output = {};
  std::string conversation_id = {};  ///< empty when it is out of band
  bool speak = true;
  media::WireFormat output_format = media::WireFormat::pcm16;
  std::string voice = {};
  std::optional<int> max_output_tokens = {};
  std::optional<double> temperature = {};
  std::optional<assistant::Usage> usage = {};
  Metadata metadata = {};
};

/// Where in a response something happens.
struct Place {
  std::string response_id;
  std::string item_id;
  int output_index = 0;
  int content_index = 0;
};

// What the server sends.
struct SessionCreated {
  Session session;
  std::string id;
  int64_t expires_at_s = 0;
};
struct SessionUpdated {
  Session session;
  std::string id;
  int64_t expires_at_s = 0;
};
struct ConversationCreated {
  std::string id;
};
/// previous_item_id: empty for the first item.
struct ItemAdded {
  Item item;
  std::string previous_item_id;
};
struct ItemDone {
  Item item;
  std::string previous_item_id;
};
struct ItemRetrieved {
  Item item;
  media::WireFormat format = media::WireFormat::pcm16;
};
struct ItemTruncated {
  std::string item_id;
  int64_t content_index = 0;
  int64_t audio_end_ms = 0;
};
struct ItemDeleted {
  std::string item_id;
};
struct TranscriptionDelta {
  std::string item_id;
  std::string delta;
};
struct TranscriptionCompleted {
  std::string item_id;
  std::string transcript;
  double seconds = 0;
};
struct TranscriptionFailed {
  std::string item_id;
  Error error;
};
struct InputCommitted {
  std::string item_id;
  std::string previous_item_id;
};
struct InputCleared {};
struct SpeechStarted {
  std::string item_id;
  int64_t audio_start_ms = 0;
};
struct SpeechStopped {
  std::string item_id;
  int64_t audio_end_ms = 0;
};
struct IdleTimeout {
  std::string item_id;
  int64_t audio_start_ms = 0;
  int64_t audio_end_ms = 0;
};
struct OutputCleared {
  std::string response_id;
};
struct ResponseCreated {
  ResponseView response;
};
struct ResponseDone {
  ResponseView response;
};
struct OutputItemAdded {
  Place place;
  Item item;
};
struct OutputItemDone {
  Place place;
  Item item;
};
struct PartAdded {
  Place place;
  Content part;
};
struct PartDone {
  Place place;
  Content part;
};
/// More of the text; `spoken`: of the transcript of what is said.
struct TextDelta {
  Place place;
  bool spoken = false;
  std::string delta;
};
struct TextDone {
  Place place;
  bool spoken = false;
  std::string text;
};
/// More of the sound, packed for the wire.
struct AudioDelta {
  Place place;
  std::vector<uint8_t> bytes;
};
struct AudioDone {
  Place place;
};
struct ArgumentsDelta {
  Place place;
  std::string call_id;
  std::string delta;
};
struct ArgumentsDone {
  Place place;
  assistant::ToolCall call;
};
/// `event_id`: of the client's event at fault. `code` overrides the one that belongs to the error.
struct ErrorEvent {
  Error error;
  std::string event_id = {};
  std::string code = {};
};

using ServerEvent =
    std::variant<SessionCreated, SessionUpdated, ConversationCreated, ItemAdded, ItemDone, ItemRetrieved, ItemTruncated,
                 ItemDeleted, TranscriptionDelta, TranscriptionCompleted, TranscriptionFailed, InputCommitted,
                 InputCleared, SpeechStarted, SpeechStopped, IdleTimeout, OutputCleared, ResponseCreated, ResponseDone,
                 OutputItemAdded, OutputItemDone, PartAdded, PartDone, TextDelta, TextDone, AudioDelta, AudioDone,
                 ArgumentsDelta, ArgumentsDone, ErrorEvent>;

}  // namespace calliope::api::realtime
