#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace calliope::tensor {

/// Element types a checkpoint may hold. Activations are always f32.
enum class DType : uint8_t { f32, f16, bf16, i64, i32, u8, boolean };

/// Bytes of one element.
constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::f32: case DType::i32: return 4;
    case DType::f16: case DType::bf16: return 2;
    case DType::i64: return 8;
    case DType::u8: case DType::boolean: return 1;
  }
  return 0;
}

/// The safetensors name of a type: "F32", "BF16", ...
constexpr std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::f16: return "F16";
    case DType::bf16: return "BF16";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
    case DType::boolean: return "BOOL";
  }
  return "?";
}

}  // namespace calliope::tensor
