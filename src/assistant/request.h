#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "assistant/live_sound.h"

namespace calliope::assistant {

/// A decoded picture: 8-bit RGB, row-major, width * height * 3 bytes.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

/// A decoded sound: mono, 16 kHz, samples in [-1, 1].
struct Sound {
  static constexpr int kSampleRate = 16000;
  std::vector<float> samples;
  bool live = false;  ///< it was heard while it was spoken, and is the same sound as the LiveSound it was then
};

using ImagePart = std::shared_ptr<const Image>;
using SoundPart = std::shared_ptr<const Sound>;
using LiveSoundPart = std::shared_ptr<LiveSound>;
/// One piece of a turn, in the order the person sent it. At most one LiveSound a request, in its last user turn.
using Part = std::variant<std::string, ImagePart, SoundPart, LiveSoundPart>;

/// Something the model may ask its caller to do.
struct Tool {
  std::string name;
  std::string description;
  std::string parameters;  ///< a JSON Schema, as text; empty: an object without properties
};

/// The model asks for a tool.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  ///< a JSON object, as text
};

/// Whether the answer may, must or must not be a tool call. `named` asks for the one called `name`.
struct ToolChoice {
  enum class Kind { automatic, none, required, named } kind = Kind::automatic;
  std::string name;
};

enum class Role { system, user, assistant, tool };

/// What one side said, whole.
struct Turn {
  Role role = Role::user;
  std::vector<Part> parts;
  std::vector<ToolCall> tool_calls;  ///< of an assistant turn
  std::string tool_call_id;          ///< of a tool's turn: what it answers
};

/// How tokens are drawn. What the caller left out comes from the model's generation config, else greedy.
struct Sampling {
  std::optional<float> temperature;  ///< [0, 2]; 0 is greedy
  std::optional<float> top_p;        ///< (0, 1]
  std::optional<int> top_k;          ///< 0: no limit
  std::optional<uint64_t> seed;      ///< none: drawn anew for every request
};

/// Everything the engine needs to answer once.
struct Request {
  std::string id;
  std::vector<Turn> turns;
  Sampling sampling;
  int max_tokens = 512;
  std::vector<std::string> stop;  ///< the answer ends before the first of these
  bool speak = false;             ///< answer aloud as well
  std::string voice;              ///< unknown or empty: the model's own voice
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;  ///< an answer may have several calls; else it ends after the first
  std::string json_schema;          ///< when not empty, the answer's text is one JSON value that this JSON Schema allows
  std::string user;               ///< whoever asks, to share the machine fairly between them; empty: nobody known
  double max_wait_s = 0;          ///< begun within this after it came, or its live sound ended, else refused; 0: as the engine has it
  bool live = false;              ///< somebody listens while it is spoken: its sound must not run dry
  /// When not empty, nothing is written: exactly this text is spoken, and SpokenMarks are about it. `turns` may then be empty, or
  /// hold a user's words that the voice is to follow.
  std::string read_aloud;
  double playback_speed = 1;      ///< how fast whoever listens plays the sound
  std::vector<std::string> choices;  ///< when not empty, nothing is written: Scored tells how likely each continuation is
};

}  // namespace calliope::assistant
