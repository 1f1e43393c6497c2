#include "tensor/safetensors.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "tensor/safetensors_header.h"

namespace calliope::tensor {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit

std::optional<DType> dtype_of(std::string_view name) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    if (name == name_of(type)) return type;
  }
  return std::nullopt;
}

// Bytes of a tensor of this shape; none when they, or its elements, do not fit.
std::optional<uint64_t> bytes_of(const std::vector<int64_t>& shape, DType type) {
  // Zero dimensions last, so that what lies around them must fit too: Shape multiplies them in order.
  uint64_t bytes = size_of(type);
  for (const int64_t dim : shape) {
    if (dim != 0 && __builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes)) return std::nullopt;
  }
  if (bytes > uint64_t{INT64_MAX}) return std::nullopt;
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? bytes : 0;
}

// The view of one entry; none for a type this program does not know.
Result<std::optional<View>> view_of(const HeaderEntry& entry, std::span<const std::byte> data,
                                    const std::string& where) {
  const auto bad = [&](const std::string& what) {
    return fail(ErrorCode::invalid_argument, where + ": tensor " + entry.name + " " + what, entry.name);
  };
  if (entry.begin > entry.end || entry.end > data.size()) return bad("lies outside the file, which may be truncated");
  const auto type = dtype_of(entry.dtype);
  if (!type) return std::optional<View>();
  const auto bytes = bytes_of(entry.shape, *type);
  if (bytes != entry.end - entry.begin) {
    return bad("has " + std::to_string(entry.end - entry.begin) + " bytes, which contradicts its shape and dtype");
  }
  const std::byte* at = data.data() + entry.begin;
  if (reinterpret_cast<uintptr_t>(at) % size_of(*type) != 0) {
    return bad("does not begin at a multiple of its element's size; save the file again with a current safetensors");
  }
  return View{*type, Shape(entry.shape), at};
}

// As the format asks, the tensors lie one after the other and fill the file.
Result<void> check_cover(std::vector<HeaderEntry> entries, uint64_t size, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  std::string before = "the header";
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != at) {
      const std::string how = entry.begin < at ? " overlaps " : " leaves a gap after ";
      return fail(ErrorCode::invalid_argument, where + ": tensor " + entry.name + how + before, entry.name);
    }
    at = entry.end;
    before = "tensor " + entry.name;
  }
  if (at == size) return {};
  return fail(ErrorCode::invalid_argument,
              where + " has " + std::to_string(size - at) + " bytes after " + before + " that no tensor names");
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes, std::string_view name) {
  const std::string where(name);
  if (bytes.size() < 8) return fail(ErrorCode::invalid_argument, where + " is too short for a safetensors file");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8) {
    return fail(ErrorCode::invalid_argument,
                where + ": the header is longer than the file; it may be truncated or no safetensors file");
  }
  TRY(Header header,
      parse_safetensors_header({reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(length)}, where));
  const auto data = bytes.subspan(8 + static_cast<size_t>(length));
  SafetensorsFile file;
  for (const HeaderEntry& entry : header.entries) {
    TRY(const auto view, view_of(entry, data, where));
    if (view) {
      file.tensors_.emplace(entry.name, *view);
    } else {
      file.left_out_.emplace(entry.name, entry.dtype);
    }
  }
  TRY_VOID(check_cover(std::move(header.entries), data.size(), where));
  file.metadata_ = std::move(header.metadata);
  return file;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  TRY(MappedFile mapping, MappedFile::open(path));
  TRY(SafetensorsFile file, parse(mapping.bytes(), path));
  file.mapping_ = std::move(mapping);
  return file;
}

Result<void> save_safetensors(const std::string& path, const std::map<std::string, View>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object pairs;
    for (const auto& [key, value] : metadata) pairs[key] = value;
    header["__metadata__"] = std::move(pairs);
  }
  // Wide elements first, so that all are aligned.
  std::vector<std::pair<std::string, View>> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return size_of(a.second.dtype) > size_of(b.second.dtype); });
  uint64_t offset = 0;
  for (const auto& [name, view] : ordered) {
    json::array shape;
    for (int i = 0; i < view.shape.rank(); ++i) shape.push_back(view.shape[i]);
    header[name] = {
        {"dtype", name_of(view.dtype)}, {"shape", shape}, {"data_offsets", {offset, offset + view.bytes()}}};
    offset += view.bytes();
  }
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
  const uint64_t length = text.size();
  bool good = std::fwrite(&length, 8, 1, file) == 1 && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  for (const auto& [name, view] : ordered) good = good && std::fwrite(view.data, 1, view.bytes(), file) == view.bytes();
  good = std::fclose(file) == 0 && good;
  good = good && std::rename(temporary.c_str(), path.c_str()) == 0;
  if (good) return {};
  const std::string reason = std::strerror(errno);
  std::remove(temporary.c_str());
  return fail(ErrorCode::io, "cannot write " + path + ": " + reason, path);
}

}  // namespace calliope::tensor
