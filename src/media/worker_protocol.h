#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/decode.h"

// What the server and a decoder process say to each other: one request and one reply on a socket of their own. Both run
// the same build on the same machine, so headers travel as they lie in memory.
namespace calliope::media::detail {

inline constexpr uint32_t kMagic = 0x43616c6c;

enum class Kind : uint32_t { picture = 1, sound = 2 };

/// Followed by `size` bytes: the file.
struct RequestHeader {
  uint32_t magic = kMagic;
  Kind kind = Kind::picture;
  uint64_t size = 0;
  DecodeLimits limits;
};

inline constexpr uint32_t kDecoded = 0;  ///< status of a reply that holds pixels or samples; else 1 + ErrorCode
inline constexpr size_t kMessageBytes = 1000;

/// Followed by `size` bytes: RGB pixels, float samples, or an error's message of at most kMessageBytes.
struct ReplyHeader {
  uint32_t magic = kMagic;
  uint32_t status = kDecoded;
  int32_t width = 0;   ///< of a picture
  int32_t height = 0;  ///< of a picture
  uint64_t size = 0;
};

enum class Io { done, closed, late };
using Deadline = std::chrono::steady_clock::time_point;

/// The server's side: all of `bytes` through a socket before the deadline, or why not.
Io send_all(int socket, std::span<const std::byte> bytes, Deadline deadline);
Io receive_all(int socket, std::span<std::byte> bytes, Deadline deadline);

/// The decoder's side: waits as long as it takes; false when the socket is closed.
bool write_all(int fd, std::span<const std::byte> bytes);
bool read_all(int fd, std::span<std::byte> bytes);
bool write_reply(int fd, ReplyHeader header, std::span<const std::byte> body);
bool write_error(int fd, ErrorCode code, std::string_view message);

struct Request {
  RequestHeader header;
  std::vector<uint8_t> file;
};

/// The decoder's one request; nothing when the socket is closed.
std::optional<Request> read_request(int fd);
/// Decodes in this process and answers.
void answer(int fd, const Request& request);

}  // namespace calliope::media::detail
