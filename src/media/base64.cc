#include "media/base64.h"

#include <fmt/format.h>

#include <array>

namespace calliope::media {

namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kWrong = 0xff, kSpace = 0xfe, kPadding = 0xfd;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kWrong);
  for (size_t i = 0; i < kLetters.size(); ++i) values[static_cast<uint8_t>(kLetters[i])] = static_cast<uint8_t>(i);
  values['-'] = 62;
  values['_'] = 63;
  for (const char c : {' ', '\t', '\r', '\n'}) values[static_cast<uint8_t>(c)] = kSpace;
  values['='] = kPadding;
  return values;
}();

}  // namespace

std::string encode_base64(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) text.push_back(kLetters[group >> shift & 63]);
  }
  if (const size_t left = bytes.size() - i; left != 0) {
    const uint32_t group = bytes[i] << 16 | (left == 2 ? bytes[i + 1] << 8 : 0);
    text.push_back(kLetters[group >> 18 & 63]);
    text.push_back(kLetters[group >> 12 & 63]);
    text.push_back(left == 2 ? kLetters[group >> 6 & 63] : '=');
    text.push_back('=');
  }
  return text;
}

Result<std::vector<uint8_t>> decode_base64(std::string_view text) {
  std::vector<uint8_t> bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int have = 0;  // bits waiting in `bits`
  int padding = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t value = kValues[static_cast<uint8_t>(text[i])];
    if (value < 64) {
      if (padding != 0)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("this is not base64: letters after its end, at character {}.", i));
      bits = bits << 6 | value;
      have += 6;
      if (have >= 8) {
        have -= 8;
        bytes.push_back(static_cast<uint8_t>(bits >> have));
      }
    } else if (value == kPadding) {
      if (++padding > 2)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("this is not base64: too much padding, at character {}.", i));
    } else if (value == kWrong) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("this is not base64: a character that is no letter of it, at character {}.", i));
    }
  }
  // A lone letter at the end holds no whole byte.
  if (have == 6) return fail(ErrorCode::invalid_argument, "this is not base64: it ends in the middle of a byte.");
  return bytes;
}

}  // namespace calliope::media
