#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

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
};

using ImagePart = std::shared_ptr<const Image>;
using SoundPart = std::shared_ptr<const Sound>;
/// One piece of a turn, in the order the person sent it.
using Part = std::variant<std::string, ImagePart, SoundPart>;

enum class Role { system, user, assistant };

/// What one side said, whole.
struct Turn {
  Role role = Role::user;
  std::vector<Part> parts;
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
};

}  // namespace calliope::assistant
