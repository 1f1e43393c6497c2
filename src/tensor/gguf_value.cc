#include "tensor/gguf_format.h"

namespace calliope::tensor {
namespace gguf {
namespace {

struct TypeName {
  uint32_t number;
  const char* name;
  std::optional<DType> dtype = std::nullopt;
};

constexpr TypeName kTypes[] = {
    {0, "F32", DType::f32},    {1, "F16", DType::f16},     {2, "Q4_0", DType::q4_0},  {3, "Q4_1"},
    {6, "Q5_0"},               {7, "Q5_1"},                {8, "Q8_0", DType::q8_0},  {9, "Q8_1"},
    {10, "Q2_K"},              {11, "Q3_K"},               {12, "Q4_K", DType::q4_k}, {13, "Q5_K", DType::q5_k},
    {14, "Q6_K", DType::q6_k}, {15, "Q8_K"},               {16, "IQ2_XXS"},           {17, "IQ2_XS"},
    {18, "IQ3_XXS"},           {19, "IQ1_S"},              {20, "IQ4_NL"},            {21, "IQ3_S"},
    {22, "IQ2_S"},             {23, "IQ4_XS"},             {24, "I8"},                {25, "I16"},
    {26, "I32", DType::i32},   {27, "I64", DType::i64},    {28, "F64"},               {29, "IQ1_M"},
    {30, "BF16", DType::bf16}, {34, "TQ1_0"},              {35, "TQ2_0"},             {39, "MXFP4"},
};

}  // namespace

std::optional<uint32_t> number_of(DType type) {
  for (const TypeName& known : kTypes) {
    if (known.dtype == type) return known.number;
  }
  return std::nullopt;
}

std::optional<DType> dtype_of(uint32_t number) {
  for (const TypeName& known : kTypes) {
    if (known.number == number) return known.dtype;
  }
  return std::nullopt;
}

std::string name_of_number(uint32_t number) {
  for (const TypeName& known : kTypes) {
    if (known.number == number) return known.name;
  }
  return "type " + std::to_string(number);
}

}  // namespace gguf

namespace {

template <class T>
T load(std::span<const std::byte> data) {
  T value{};
  CHECK(data.size() >= sizeof value);
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

std::optional<int64_t> integer_of(GgufType type, std::span<const std::byte> data) {
  switch (type) {
    case GgufType::u8: return load<uint8_t>(data);
    case GgufType::i8: return load<int8_t>(data);
    case GgufType::u16: return load<uint16_t>(data);
    case GgufType::i16: return load<int16_t>(data);
    case GgufType::u32: return load<uint32_t>(data);
    case GgufType::i32: return load<int32_t>(data);
    case GgufType::i64: return load<int64_t>(data);
    case GgufType::u64: {
      const auto value = load<uint64_t>(data);
      if (value > uint64_t{INT64_MAX}) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default: return std::nullopt;
  }
}

std::optional<double> number_of(GgufType type, std::span<const std::byte> data) {
  if (type == GgufType::f32) return load<float>(data);
  if (type == GgufType::f64) return load<double>(data);
  if (type == GgufType::u64) return static_cast<double>(load<uint64_t>(data));
  if (const auto integer = integer_of(type, data)) return static_cast<double>(*integer);
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> GgufValue::integer() const { return integer_of(type_, data_); }

std::optional<double> GgufValue::number() const { return number_of(type_, data_); }

std::optional<bool> GgufValue::boolean() const {
  if (type_ != GgufType::boolean) return std::nullopt;
  return load<uint8_t>(data_) != 0;
}

std::optional<std::string_view> GgufValue::text() const {
  std::string_view text;
  if (type_ != GgufType::text || !gguf::Cursor(data_).read_text(text)) return std::nullopt;
  return text;
}

template <class T, class One>
std::optional<std::vector<T>> GgufValue::elements(One one) const {
  if (type_ != GgufType::array) return std::nullopt;
  gguf::Cursor cursor(data_);
  GgufType type{};
  uint64_t count = 0;
  if (!cursor.read(type) || !cursor.read(count)) return std::nullopt;
  std::vector<T> values;
  // Each element takes bytes of the file, so its size bounds the count: it was walked when the file was opened.
  const size_t bytes = gguf::value_bytes(type);
  if (bytes == 0 && type != GgufType::text) return std::nullopt;
  values.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count; ++i) {
    const size_t begin = cursor.at();
    std::string_view text;
    if (type == GgufType::text ? !cursor.read_text(text) : !cursor.skip(bytes)) return std::nullopt;
    const std::optional<T> value = one(type, cursor.since(begin), text);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<std::vector<std::string_view>> GgufValue::texts() const {
  return elements<std::string_view>([](GgufType type, auto, std::string_view text) {
    return type == GgufType::text ? std::optional(text) : std::nullopt;
  });
}

std::optional<std::vector<int64_t>> GgufValue::integers() const {
  return elements<int64_t>([](GgufType type, auto data, auto) { return integer_of(type, data); });
}

std::optional<std::vector<double>> GgufValue::numbers() const {
  return elements<double>([](GgufType type, auto data, auto) { return number_of(type, data); });
}

}  // namespace calliope::tensor
