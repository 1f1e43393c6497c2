#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tensor/dtype.h"
#include "tensor/gguf.h"

namespace calliope::tensor::gguf {

constexpr char kMagic[4] = {'G', 'G', 'U', 'F'};
constexpr uint64_t kDefaultAlignment = 32;
constexpr int kMaxRank = 4;

/// Bytes of a metadata value of that type; 0 for strings, arrays and what is no type.
constexpr size_t value_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8: case GgufType::i8: case GgufType::boolean: return 1;
    case GgufType::u16: case GgufType::i16: return 2;
    case GgufType::u32: case GgufType::i32: case GgufType::f32: return 4;
    case GgufType::u64: case GgufType::i64: case GgufType::f64: return 8;
    default: return 0;
  }
}

/// ggml's number for a tensor's type; none for what GGUF cannot hold.
std::optional<uint32_t> number_of(DType type);
/// The type of that number; none when this program does not read it.
std::optional<DType> dtype_of(uint32_t number);
/// ggml's name for a type's number, or "type 77".
std::string name_of_number(uint32_t number);

/// Reads little-endian values one after the other; once something does not fit, nothing does.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  std::span<const std::byte> since(size_t begin) const { return bytes_.subspan(begin, at_ - begin); }

  bool skip(uint64_t count) {
    if (count > left()) return false;
    at_ += static_cast<size_t>(count);
    return true;
  }
  template <class T>
  bool read(T& value) {
    if (sizeof value > left()) return false;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return true;
  }
  bool read_text(std::string_view& text) {
    uint64_t length = 0;
    if (!read(length) || length > left()) return false;
    text = {reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(length)};
    return skip(length);
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
};

}  // namespace calliope::tensor::gguf
