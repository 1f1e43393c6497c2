#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace calliope::tensor {

/// Element types a checkpoint may hold. Activations are always f32. The last five are GGML's quantised blocks of 32 or
/// 256 neighbours along the last axis (tensor/quant_blocks.h).
enum class DType : uint8_t { f32, f16, bf16, i64, i32, u8, boolean, q8_0, q4_0, q4_k, q5_k, q6_k };

/// Elements that share one block: 1 for plain types, 32 or 256 for quantised ones.
constexpr int64_t block_elements(DType type) {
  switch (type) {
    case DType::q8_0: case DType::q4_0: return 32;
    case DType::q4_k: case DType::q5_k: case DType::q6_k: return 256;
    default: return 1;
  }
}

/// Bytes of one block; of one element for plain types.
constexpr size_t block_bytes(DType type) {
  switch (type) {
    case DType::f32: case DType::i32: return 4;
    case DType::f16: case DType::bf16: return 2;
    case DType::i64: return 8;
    case DType::u8: case DType::boolean: return 1;
    case DType::q8_0: return 34;
    case DType::q4_0: return 18;
    case DType::q4_k: return 144;
    case DType::q5_k: return 176;
    case DType::q6_k: return 210;
  }
  return 0;
}

constexpr bool is_quantized(DType type) { return block_elements(type) > 1; }
/// What View::at and kernels::linear read: f32, f16, bf16 and the quantised blocks.
constexpr bool is_float(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || is_quantized(type);
}

/// Bytes of one element of a plain type; 0 for quantised blocks, whose elements have none of their own.
constexpr size_t size_of(DType type) { return is_quantized(type) ? 0 : block_bytes(type); }

/// Bytes of that many elements, which must be whole blocks.
constexpr size_t bytes_of(DType type, int64_t elements) {
  return static_cast<size_t>(elements / block_elements(type)) * block_bytes(type);
}

/// The name of a type, as safetensors and GGUF have it: "F32", "BF16", "Q8_0", ...
constexpr std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::f16: return "F16";
    case DType::bf16: return "BF16";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
    case DType::boolean: return "BOOL";
    case DType::q8_0: return "Q8_0";
    case DType::q4_0: return "Q4_0";
    case DType::q4_k: return "Q4_K";
    case DType::q5_k: return "Q5_K";
    case DType::q6_k: return "Q6_K";
  }
  return "?";
}

}  // namespace calliope::tensor
