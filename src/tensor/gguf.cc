#include "tensor/gguf.h"

#include <algorithm>
#include <utility>

#include "tensor/gguf_format.h"

namespace calliope::tensor {
namespace {

using gguf::Cursor;

constexpr size_t kMaxName = 65535;            // the format's own limit for keys
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr int kMaxNesting = 4;                // arrays in arrays
constexpr uint64_t kLeastValue = 8 + 4 + 1;   // key length, type, one byte
constexpr uint64_t kLeastTensor = 8 + 4 + 4 + 8;

struct TensorInfo {
  std::string name;
  uint32_t type = 0;
  std::vector<int64_t> shape;  // outermost first
  uint64_t offset = 0;
};

struct Parser {
  Cursor cursor;
  std::string where;
  uint64_t tensor_count = 0, value_count = 0;

  std::unexpected<Error> bad(const std::string& what, ErrorCode code = ErrorCode::invalid_argument) const {
    return fail(code, where + ": " + what);
  }
  std::unexpected<Error> cut(const std::string& what) const {
    return bad("the file ends inside " + what + "; it may be truncated: download or make it again");
  }

  Result<void> header() {
    char magic[4] = {};
    uint32_t version = 0;
    if (!cursor.read(magic) || !std::equal(magic, magic + 4, gguf::kMagic)) {
      return bad("is no GGUF file: it does not begin with GGUF");
    }
    if (!cursor.read(version)) return cut("the header");
    if (version != 0 && (version & 0xffff) == 0) {
      return bad("is a big-endian GGUF file; make a little-endian one", ErrorCode::unsupported);
    }
    if (version != 2 && version != 3) {
      return bad("is a GGUF file of version " + std::to_string(version) + "; versions 2 and 3 are read: convert it again",
                 ErrorCode::unsupported);
    }
    if (!cursor.read(tensor_count) || !cursor.read(value_count)) return cut("the header");
    if (value_count > cursor.left() / kLeastValue || tensor_count > cursor.left() / kLeastTensor) {
      return bad("the header counts " + std::to_string(value_count) + " metadata values and " +
                 std::to_string(tensor_count) + " tensors, more than the file can hold; it may be truncated");
    }
    return {};
  }

  // Walks over one value; false when it does not fit into the file or is of no type.
  bool skip_value(GgufType type, int nesting) {
    if (const size_t bytes = gguf::value_bytes(type)) return cursor.skip(bytes);
    std::string_view text;
    if (type == GgufType::text) return cursor.read_text(text);
    if (type != GgufType::array || nesting >= kMaxNesting) return false;
    uint64_t count = 0;
    if (!cursor.read(type) || !cursor.read(count)) return false;
    if (const size_t bytes = gguf::value_bytes(type)) {
      return count <= cursor.left() / bytes && cursor.skip(count * bytes);
    }
    if (type != GgufType::text && type != GgufType::array) return false;
    // Every string or array takes at least eight bytes, which bounds the loop.
    for (; count > 0; --count) {
      if (!skip_value(type, nesting + 1)) return false;
    }
    return true;
  }

  Result<std::map<std::string, GgufValue, std::less<>>> metadata() {
    std::map<std::string, GgufValue, std::less<>> values;
    for (uint64_t i = 0; i < value_count; ++i) {
      std::string_view key;
      GgufType type{};
      if (!cursor.read_text(key)) return cut("the name of metadata value " + std::to_string(i));
      if (key.empty() || key.size() > kMaxName) {
        return bad("metadata value " + std::to_string(i) + " has a name of " + std::to_string(key.size()) + " bytes");
      }
      const std::string name(key);
      if (!cursor.read(type)) return cut("metadata " + name);
      if (static_cast<uint32_t>(type) > static_cast<uint32_t>(GgufType::f64)) {
        return bad("metadata " + name + " has the type " + std::to_string(static_cast<uint32_t>(type)) + ", which GGUF does not have");
      }
      const size_t begin = cursor.at();
      if (!skip_value(type, 0)) {
        return bad("metadata " + name + " goes over the end of the file, is nested too deeply, or holds an unknown type");
      }
      if (!values.emplace(name, GgufValue(type, cursor.since(begin))).second) {
        return bad("metadata " + name + " is given twice");
      }
    }
    return values;
  }

  Result<TensorInfo> tensor_info(uint64_t index) {
    TensorInfo info;
    std::string_view name;
    uint32_t rank = 0;
    if (!cursor.read_text(name)) return cut("the name of tensor " + std::to_string(index));
    if (name.empty() || name.size() > kMaxName) {
      return bad("tensor " + std::to_string(index) + " has a name of " + std::to_string(name.size()) + " bytes");
    }
    info.name = name;
    if (!cursor.read(rank)) return cut("tensor " + info.name);
    if (rank < 1 || rank > gguf::kMaxRank) {
      return bad("tensor " + info.name + " has " + std::to_string(rank) + " dimensions; GGUF has 1 to 4");
    }
    for (uint32_t i = 0; i < rank; ++i) {
      uint64_t dim = 0;
      if (!cursor.read(dim)) return cut("tensor " + info.name);
      if (dim > uint64_t{INT64_MAX}) return bad("tensor " + info.name + " has a dimension out of range");
      info.shape.insert(info.shape.begin(), static_cast<int64_t>(dim));
    }
    if (!cursor.read(info.type) || !cursor.read(info.offset)) return cut("tensor " + info.name);
    return info;
  }
};

// Elements of a shape; none when they, or a part of them, do not fit.
std::optional<int64_t> elements_of(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (dim != 0 && __builtin_mul_overflow(elements, dim, &elements)) return std::nullopt;
  }
  if (elements > INT64_MAX / 16) return std::nullopt;
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? elements : 0;
}

Result<View> view_of(const TensorInfo& info, DType type, std::span<const std::byte> data, const Parser& parser) {
  const auto bad = [&](const std::string& what) { return parser.bad("tensor " + info.name + " " + what); };
  const auto elements = elements_of(info.shape);
  if (!elements) return bad("has more elements than fit into memory");
  if (info.shape.back() % block_elements(type) != 0) {
    return bad("is " + std::string(name_of(type)) + " but its rows of " + std::to_string(info.shape.back()) +
               " are no multiple of " + std::to_string(block_elements(type)));
  }
  const size_t bytes = bytes_of(type, *elements);
  if (info.offset > data.size() || bytes > data.size() - info.offset) {
    return bad("lies outside the file, which may be truncated: download or make it again");
  }
  return View{type, Shape(info.shape), data.data() + info.offset};
}

Result<uint64_t> alignment_of(const std::map<std::string, GgufValue, std::less<>>& metadata, const Parser& parser) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return gguf::kDefaultAlignment;
  const int64_t alignment = found->second.integer().value_or(0);
  if (alignment >= 8 && alignment <= int64_t{kMaxAlignment} && (alignment & (alignment - 1)) == 0) {
    return static_cast<uint64_t>(alignment);
  }
  return parser.bad("general.alignment must be a power of two from 8 to 1048576");
}

Result<void> check_overlap(const std::map<std::string, View, std::less<>>& tensors, const Parser& parser) {
  std::vector<std::pair<const std::byte*, const std::pair<const std::string, View>*>> order;
  for (const auto& entry : tensors) {
    if (entry.second.bytes() > 0) order.emplace_back(entry.second.data, &entry);
  }
  std::sort(order.begin(), order.end());
  for (size_t i = 1; i < order.size(); ++i) {
    const auto& [name, view] = *order[i - 1].second;
    if (order[i].first < view.data + view.bytes()) {
      return parser.bad("tensor " + order[i].second->first + " overlaps tensor " + name);
    }
  }
  return {};
}

}  // namespace

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string_view name) {
  Parser parser{Cursor(bytes), std::string(name)};
  TRY_VOID(parser.header());
  GgufFile file;
  TRY(file.metadata_, parser.metadata());
  TRY(const uint64_t alignment, alignment_of(file.metadata_, parser));
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < parser.tensor_count; ++i) {
    TRY(TensorInfo info, parser.tensor_info(i));
    infos.push_back(std::move(info));
  }
  const size_t end = parser.cursor.at();
  const size_t begin = (end + static_cast<size_t>(alignment) - 1) / static_cast<size_t>(alignment) * static_cast<size_t>(alignment);
  const auto data = bytes.subspan(std::min(begin, bytes.size()));
  for (const TensorInfo& info : infos) {
    if (info.offset % alignment != 0) {
      return parser.bad("tensor " + info.name + " does not begin at a multiple of general.alignment");
    }
    const auto type = gguf::dtype_of(info.type);
    if (file.tensors_.contains(info.name) || file.left_out_.contains(info.name)) return parser.bad("tensor " + info.name + " is given twice");
    if (!type) {
      if (info.offset > data.size()) return parser.bad("tensor " + info.name + " lies outside the file, which may be truncated");
      file.left_out_.emplace(info.name, gguf::name_of_number(info.type));
      continue;
    }
    TRY(const View view, view_of(info, *type, data, parser));
    file.tensors_.emplace(info.name, view);
  }
  TRY_VOID(check_overlap(file.tensors_, parser));
  return file;
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  TRY(MappedFile mapping, MappedFile::open(path));
  TRY(GgufFile file, parse(mapping.bytes(), path));
  file.mapping_ = std::move(mapping);
  return file;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

}  // namespace calliope::tensor
