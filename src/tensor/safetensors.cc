#include "tensor/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

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

Result<json::object> parse_header(std::string_view text, const std::string& where) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return fail(ErrorCode::invalid_argument, where + ": the header is not a JSON object");
  return value.get_object();
}

struct Entry {
  std::string name;
  View view;
  bool known = true;
  uint64_t begin = 0, end = 0;
};

Result<Entry> parse_entry(std::string_view name, const json::value& value, std::span<const std::byte> data,
                          const std::string& where) {
  const auto bad = [&](const std::string& what) {
    return fail(ErrorCode::invalid_argument, where + ": tensor " + std::string(name) + " " + what, std::string(name));
  };
  const auto* object = value.if_object();
  const auto* dtype = object ? object->if_contains("dtype") : nullptr;
  const auto* shape = object ? object->if_contains("shape") : nullptr;
  const auto* offsets = object ? object->if_contains("data_offsets") : nullptr;
  if (!dtype || !dtype->is_string() || !shape || !shape->is_array() || !offsets || !offsets->is_array() ||
      offsets->get_array().size() != 2) {
    return bad("lacks dtype, shape or data_offsets");
  }
  if (shape->get_array().size() > size_t(Shape::kMaxRank)) return bad("has more than 6 dimensions");
  std::vector<int64_t> dims;
  uint64_t elements = 1;
  for (const auto& item : shape->get_array()) {
    boost::system::error_code error;
    const auto dim = item.to_number<int64_t>(error);
    if (error || dim < 0 || __builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements)) return bad("has a shape that is none");
    dims.push_back(dim);
  }
  Entry entry{std::string(name), {}, true, 0, 0};
  boost::system::error_code error;
  entry.begin = offsets->get_array()[0].to_number<uint64_t>(error);
  if (!error) entry.end = offsets->get_array()[1].to_number<uint64_t>(error);
  if (error || entry.begin > entry.end || entry.end > data.size()) {
    return bad("lies outside the file, which may be truncated");
  }
  const auto type = dtype_of(dtype->get_string());
  entry.known = type.has_value();
  if (!type) return entry;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements, uint64_t(size_of(*type)), &bytes) || bytes != entry.end - entry.begin) {
    return bad("has " + std::to_string(entry.end - entry.begin) + " bytes, which contradicts its shape and dtype");
  }
  entry.view = {*type, Shape(dims), data.data() + entry.begin};
  return entry;
}

Result<void> check_overlap(std::vector<Entry>& entries, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].begin < entries[i - 1].end) {
      return fail(ErrorCode::invalid_argument, where + ": tensors " + entries[i - 1].name + " and " + entries[i].name + " overlap",
                  entries[i].name);
    }
  }
  return {};
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes, std::string_view name) {
  const std::string where(name);
  if (bytes.size() < 8) return fail(ErrorCode::invalid_argument, where + " is too short for a safetensors file");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8) {
    return fail(ErrorCode::invalid_argument, where + ": the header is longer than the file; it may be truncated or no safetensors file");
  }
  TRY(const json::object header,
      parse_header({reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(length)}, where));
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header) {
    if (key == "__metadata__") {
      if (const auto* pairs = value.if_object()) {
        for (const auto& [k, v] : *pairs) {
          if (v.is_string()) file.metadata_.emplace(k, v.get_string());
        }
      }
      continue;
    }
    TRY(Entry entry, parse_entry(key, value, bytes.subspan(8 + static_cast<size_t>(length)), where));
    entries.push_back(std::move(entry));
  }
  TRY_VOID(check_overlap(entries, where));
  for (Entry& entry : entries) {
    if (entry.known) file.tensors_.emplace(std::move(entry.name), entry.view);
  }
  return file;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, "cannot open " + path + ": " + std::strerror(errno), path);
  }
  struct stat info {};
  const bool regular = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
  const size_t size = regular ? static_cast<size_t>(info.st_size) : 0;
  void* memory = size >= 8 ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
  ::close(descriptor);
  if (regular && size < 8) return fail(ErrorCode::invalid_argument, path + " is too short for a safetensors file", path);
  if (memory == MAP_FAILED) return fail(ErrorCode::io, "cannot map " + path, path);
  std::shared_ptr<const void> mapping(memory, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  TRY(SafetensorsFile file, parse({static_cast<const std::byte*>(memory), size}, path));
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
  uint64_t offset = 0;
  for (const auto& [name, view] : tensors) {
    json::array shape;
    for (int i = 0; i < view.shape.rank(); ++i) shape.push_back(view.shape[i]);
    header[name] = {{"dtype", name_of(view.dtype)}, {"shape", shape}, {"data_offsets", {offset, offset + view.bytes()}}};
    offset += view.bytes();
  }
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
  const uint64_t length = text.size();
  bool good = std::fwrite(&length, 8, 1, file) == 1 && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  for (const auto& [name, view] : tensors) good = good && std::fwrite(view.data, 1, view.bytes(), file) == view.bytes();
  good = std::fclose(file) == 0 && good;
  good = good && std::rename(temporary.c_str(), path.c_str()) == 0;
  if (!good) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
  return {};
}

}  // namespace calliope::tensor
