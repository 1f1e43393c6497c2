// Whatever bytes a .safetensors file holds: tensors that lie inside it, or a clear error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "tensor/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Half of the inputs are headers, which get a length and data of their own.
  const bool header_only = size > 0 && data[0] == '{';
  const size_t header = header_only ? size + (8 - size % 8) % 8 : 0;
  std::vector<uint64_t> words(size / 8 + 40);
  auto* bytes = reinterpret_cast<uint8_t*>(words.data());
  if (header_only) {
    const uint64_t length = header;
    std::memcpy(bytes, &length, 8);
    std::memset(bytes + 8, ' ', header);
  }
  if (size > 0) std::memcpy(bytes + (header_only ? 8 : 0), data, size);
  const size_t total = header_only ? 8 + header + 16 : size;
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(bytes), total);
  const auto parsed = calliope::tensor::SafetensorsFile::parse(file, "fuzz.safetensors");
  if (!parsed) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  for (const auto& [name, view] : parsed->tensors()) {
    CHECK(view.data >= file.data() && view.bytes() <= static_cast<size_t>(file.data() + file.size() - view.data));
    unsigned sum = 0;
    for (size_t i = 0; i < view.bytes(); ++i) sum += static_cast<unsigned>(view.data[i]);
    CHECK(sum < ~0u);
    if (view.shape.rank() > 0 && view.shape[0] > 0) CHECK(view.row(view.shape[0] - 1).data <= view.data + view.bytes());
  }
  return 0;
}
