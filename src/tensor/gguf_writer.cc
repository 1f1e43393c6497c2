#include "tensor/gguf_writer.h"

#include <cerrno>
#include <cstring>
#include <type_traits>

#include "tensor/gguf_format.h"

namespace calliope::tensor {
namespace {

size_t padding(size_t size) { return (gguf::kDefaultAlignment - size % gguf::kDefaultAlignment) % gguf::kDefaultAlignment; }

template <class T>
constexpr GgufType type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::boolean;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufType::u32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufType::i32;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufType::u64;
  if constexpr (std::is_same_v<T, int64_t>) return GgufType::i64;
  if constexpr (std::is_same_v<T, float>) return GgufType::f32;
  if constexpr (std::is_same_v<T, double>) return GgufType::f64;
  return GgufType::text;
}

struct Header {
  std::string bytes;

  template <class T>
  void number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number(uint64_t{value.size()});
    bytes += value;
  }
  template <class T>
  void value(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) text(value);
    else number(value);
  }
  void field(const GgufField& field) {
    std::visit([&]<class T>(const T& given) {
      if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
        number(GgufType::array);
        number(type_of<typename T::value_type>());
        number(uint64_t{given.size()});
        for (const auto& item : given) value(item);
      } else {
        number(type_of<T>());
        value(given);
      }
    }, field);
  }
};

}  // namespace

void GgufWriter::Close::operator()(std::FILE* file) const {
  std::fclose(file);
  std::remove(temporary.c_str());
}

Result<GgufWriter> GgufWriter::create(const std::string& path, const GgufFields& metadata, std::vector<GgufTensor> tensors) {
  Header header;
  header.bytes.assign(gguf::kMagic, 4);
  header.number(uint32_t{3});
  header.number(uint64_t{tensors.size()});
  header.number(uint64_t{metadata.size()});
  for (const auto& [key, field] : metadata) {
    header.text(key);
    header.field(field);
  }
  uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    const auto type = gguf::number_of(tensor.dtype);
    const int rank = tensor.shape.rank();
    CHECK(type && rank >= 1 && rank <= gguf::kMaxRank && tensor.shape[-1] % block_elements(tensor.dtype) == 0);
    header.text(tensor.name);
    header.number(static_cast<uint32_t>(rank));
    for (int i = rank - 1; i >= 0; --i) header.number(static_cast<uint64_t>(tensor.shape[i]));
    header.number(*type);
    header.number(offset);
    const size_t bytes = bytes_of(tensor.dtype, tensor.shape.elements());
    offset += bytes + padding(bytes);
  }
  header.bytes.append(padding(header.bytes.size()), '\0');

  GgufWriter writer;
  writer.path_ = path;
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
  writer.file_ = {file, Close{temporary}};
  writer.tensors_ = std::move(tensors);
  TRY_VOID(writer.put(header.bytes.data(), header.bytes.size()));
  if (!writer.tensors_.empty()) writer.remaining_ = bytes_of(writer.tensors_[0].dtype, writer.tensors_[0].shape.elements());
  TRY_VOID(writer.next_tensor());
  return writer;
}

Result<void> GgufWriter::put(const void* data, size_t size) {
  if (size == 0 || std::fwrite(data, 1, size, file_.get()) == size) return {};
  return fail(ErrorCode::io, "cannot write " + path_ + ": " + std::strerror(errno), path_);
}

// Ends the tensors that are complete.
Result<void> GgufWriter::next_tensor() {
  while (current_ < tensors_.size() && remaining_ == 0) {
    static constexpr char kZeros[gguf::kDefaultAlignment] = {};
    TRY_VOID(put(kZeros, padding(bytes_of(tensors_[current_].dtype, tensors_[current_].shape.elements()))));
    if (++current_ < tensors_.size()) remaining_ = bytes_of(tensors_[current_].dtype, tensors_[current_].shape.elements());
  }
  return {};
}

Result<void> GgufWriter::write(std::span<const std::byte> bytes) {
  CHECK(bytes.size() <= remaining_);
  TRY_VOID(put(bytes.data(), bytes.size()));
  remaining_ -= bytes.size();
  return next_tensor();
}

Result<void> GgufWriter::finish() {
  CHECK(current_ == tensors_.size());
  const std::string temporary = file_.get_deleter().temporary;
  if (std::fclose(file_.release()) == 0 && std::rename(temporary.c_str(), path_.c_str()) == 0) return {};
  const std::string reason = std::strerror(errno);
  std::remove(temporary.c_str());
  return fail(ErrorCode::io, "cannot write " + path_ + ": " + reason, path_);
}

}  // namespace calliope::tensor
