#include "model/tokenizer_parts.h"

#include <array>

#include "base/utf8.h"

namespace calliope::model {
namespace {

// The byte each byte-level character stands for, -1 for others (GPT-2's bytes_to_unicode, reversed).
const std::array<int, 512>& byte_of_character() {
  static const std::array<int, 512> table = [] {
    std::array<int, 512> result;
    result.fill(-1);
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
      result[static_cast<size_t>(printable ? byte : next++)] = byte;
    }
    return result;
  }();
  return table;
}

}  // namespace

std::optional<std::string> Tokenizer::Parts::bytes_of(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const char32_t c = utf8_next(token, at);
    const int byte = c < 512 ? byte_of_character()[c] : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

void Tokenizer::Parts::set(int32_t id, std::string_view name, bool is_special) {
  const auto at = static_cast<size_t>(id);
  if (at >= names.size()) {
    names.resize(at + 1);
    bytes.resize(at + 1);
    special.resize(at + 1, false);
  }
  names[at] = name;
  bytes[at] = bytes_of(name).value_or(std::string(name));
  special[at] = is_special;
  ids.insert_or_assign(std::string(name), id);
}

void Tokenizer::Parts::find_bytes() {
  for (char32_t c = 0; c < 512; ++c) {
    const int byte = byte_of_character()[c];
    if (byte < 0) continue;
    std::string name;
    utf8_append(name, c);
    if (const auto found = ids.find(name); found != ids.end()) bpe.byte_ids[static_cast<size_t>(byte)] = found->second;
  }
}

bool Tokenizer::Parts::merge(std::string_view left, std::string_view right, uint64_t rank) {
  const std::string first(left), second(right);
  const auto a = ids.find(first), b = ids.find(second), merged = ids.find(first + second);
  if (a == ids.end() || b == ids.end() || merged == ids.end()) return false;
  // Of a pair given twice the last rank counts, as in the reference.
  bpe.merges.insert_or_assign(uint64_t(uint32_t(a->second)) << 32 | uint32_t(b->second),
                              rank << 32 | uint32_t(merged->second));
  return true;
}

}  // namespace calliope::model
