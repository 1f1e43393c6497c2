#include "tensor/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tensor/quant_blocks.h"

namespace calliope::tensor {

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  CHECK(dims.size() <= size_t(kMaxRank));
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

int64_t Shape::elements() const {
  int64_t count = 1;
  for (int i = 0; i < rank_; ++i) count *= dims_[static_cast<size_t>(i)];
  return count;
}

bool Shape::operator==(const Shape& other) const { return rank_ == other.rank_ && dims_ == other.dims_; }

std::string Shape::text() const {
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(dims_[static_cast<size_t>(i)]);
  }
  return out + "]";
}

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) return __builtin_bit_cast(float, sign | 0x7f800000 | (mantissa << 13));
  if (exponent != 0) return __builtin_bit_cast(float, sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float value = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -value : value;
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value), magnitude = bits & 0x7fffffff;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (magnitude > 0x7f800000) return sign | 0x7e00;                    // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;                   // 65520 and more round to infinity
  if (magnitude < 0x38800000) {                                        // below the smallest normal: multiples of 2^-24
    // Adding 0.5 makes the last bit of the sum 2^-24, so that the addition rounds.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(__builtin_bit_cast(uint32_t, shifted) - 0x3f000000);
  }
  const uint32_t rounded = magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1);
  return sign | static_cast<uint16_t>(rounded >> 13);
}

View View::slice(int64_t begin, int64_t count) const {
  CHECK(shape.rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= shape[0]);
  CHECK(shape.rank() >= 2 || !is_quantized(dtype));
  std::array<int64_t, Shape::kMaxRank> dims{};
  for (int axis = 0; axis < shape.rank(); ++axis) dims[static_cast<size_t>(axis)] = shape[axis];
  dims[0] = begin;
  const std::span<const int64_t> part(dims.data(), static_cast<size_t>(shape.rank()));
  const size_t offset = bytes_of(dtype, Shape(part).elements());
  dims[0] = count;
  return {dtype, Shape(part), data + offset};
}

View View::row(int64_t i) const {
  CHECK(shape.rank() >= 1 && i >= 0 && i < shape[0]);
  CHECK(shape.rank() >= 2 || !is_quantized(dtype));
  std::array<int64_t, Shape::kMaxRank> dims{};
  for (int axis = 1; axis < shape.rank(); ++axis) dims[static_cast<size_t>(axis - 1)] = shape[axis];
  Shape inner(std::span<const int64_t>(dims.data(), static_cast<size_t>(shape.rank() - 1)));
  return {dtype, inner, data + bytes_of(dtype, i * inner.elements())};
}

View View::reshaped(Shape other) const {
  CHECK(other.elements() == shape.elements());
  return {dtype, other, data};
}

float View::at(int64_t i) const {
  switch (dtype) {
    case DType::f32: {
      float value;
      std::memcpy(&value, data + i * 4, 4);
      return value;
    }
    case DType::f16: case DType::bf16: {
      uint16_t bits;
      std::memcpy(&bits, data + i * 2, 2);
      return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
    default: CHECK(is_quantized(dtype)); return dequantize_at(dtype, data, i);
  }
}

void View::to_f32(std::span<float> out) const {
  CHECK(static_cast<int64_t>(out.size()) == shape.elements());
  const auto halves = [&](auto convert) {
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, data + 2 * i, sizeof bits);
      out[i] = convert(bits);
    }
  };
  switch (dtype) {
    case DType::f32: std::memcpy(out.data(), data, out.size_bytes()); break;
    case DType::f16: halves(f16_to_f32); break;
    case DType::bf16: halves(bf16_to_f32); break;
    default: CHECK(is_quantized(dtype)); dequantize(dtype, data, out);
  }
}

void Tensor::Free::operator()(float* p) const { std::free(p); }

Tensor::Tensor(Shape shape) {
  resize(shape);
  if (data_) std::fill_n(data_.get(), elements(), 0.0f);
}

Tensor::Tensor(const Tensor& other) { *this = other; }

Tensor& Tensor::operator=(const Tensor& other) {
  if (this == &other) return *this;
  if (other.empty()) {
    data_.reset();
    capacity_ = 0;
    shape_ = other.shape_;
    return *this;
  }
  resize(other.shape_);
  std::copy_n(other.data(), other.elements(), data());
  return *this;
}

Rows Tensor::rows() {
  CHECK(shape_.rank() >= 1);
  const int64_t cols = shape_[-1];
  return {data(), cols == 0 ? 0 : elements() / cols, cols, cols};
}

ConstRows Tensor::rows() const { return const_cast<Tensor*>(this)->rows(); }

void Tensor::resize(Shape shape) {
  const int64_t count = shape.elements();
  CHECK(count >= 0);
  if (!data_ || count > capacity_) {
    const size_t bytes = (std::max<size_t>(static_cast<size_t>(count), 1) * sizeof(float) + 63) / 64 * 64;
    auto* memory = static_cast<float*>(std::aligned_alloc(64, bytes));
    if (!memory) throw std::bad_alloc();
    data_.reset(memory);
    capacity_ = static_cast<int64_t>(bytes / sizeof(float));
  }
  shape_ = shape;
}

}  // namespace calliope::tensor
