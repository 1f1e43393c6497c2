#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace calliope::tensor {

/// Up to six dimensions, outermost first. An empty shape is a scalar of one element.
class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);
  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis < 0 ? axis + rank_ : axis)]; }
  int64_t elements() const;
  bool operator==(const Shape& other) const;
  /// "[2, 3]"
  std::string text() const;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// f32 matrix that someone else owns, row-major; `stride` floats lie between the starts of two rows.
template <class Float>
struct BasicRows {
  Float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  Float* row(int64_t i) const { return data + i * stride; }
  /// Rows [begin, begin + count).
  BasicRows slice(int64_t begin, int64_t count) const { return {data + begin * stride, count, cols, stride}; }
  /// Columns [begin, begin + count) of every row.
  BasicRows columns(int64_t begin, int64_t count) const { return {data + begin, rows, count, stride}; }
  operator BasicRows<const Float>() const { return {data, rows, cols, stride}; }
};
using Rows = BasicRows<float>;
using ConstRows = BasicRows<const float>;

/// Contiguous weight that someone else owns (usually a memory-mapped file), of any element type. Null when !data. The
/// last axis of a quantised weight is a whole number of blocks.
struct View {
  DType dtype = DType::f32;
  Shape shape;
  const std::byte* data = nullptr;

  explicit operator bool() const { return data != nullptr; }
  size_t bytes() const { return bytes_of(dtype, shape.elements()); }
  /// Row i along the outermost axis; of a quantised weight of rank 2 or more.
  View row(int64_t i) const;
  /// Rows [begin, begin + count) along the outermost axis.
  View slice(int64_t begin, int64_t count) const;
  /// The same bytes under another shape of as many elements.
  View reshaped(Shape other) const;
  /// Element i, converted to f32 (is_float types only).
  float at(int64_t i) const;
  /// Copies and converts all elements to f32.
  void to_f32(std::span<float> out) const;
};

/// Owned f32 tensor, 64-byte aligned, zero-filled when made.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape);
  Tensor(const Tensor& other);
  Tensor& operator=(const Tensor& other);
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  const Shape& shape() const { return shape_; }
  int64_t elements() const { return shape_.elements(); }
  bool empty() const { return !data_; }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::span<float> span() { return {data(), size_t(data_ ? elements() : 0)}; }
  std::span<const float> span() const { return {data(), size_t(data_ ? elements() : 0)}; }
  /// All but the last axis merged: [rows, last].
  Rows rows();
  ConstRows rows() const;
  View view() const { return {DType::f32, shape_, reinterpret_cast<const std::byte*>(data())}; }
  /// New shape; keeps the memory when it is large enough, contents unspecified otherwise. No allocation within capacity.
  void resize(Shape shape);

 private:
  struct Free {
    void operator()(float* p) const;
  };
  Shape shape_;
  int64_t capacity_ = 0;
  std::unique_ptr<float[], Free> data_;
};

/// f16 bits to f32.
float f16_to_f32(uint16_t bits);
/// f32 to f16 bits, to the nearest, ties to even; too large becomes infinite.
uint16_t f32_to_f16(float value);
/// f32 to bf16 bits, to the nearest, ties to even.
inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
/// bf16 bits to f32.
inline float bf16_to_f32(uint16_t bits) { return __builtin_bit_cast(float, uint32_t(bits) << 16); }

}  // namespace calliope::tensor
