// Whatever bytes a GGUF file holds: values and tensors that lie inside it, or a clear error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "tensor/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint64_t> words(size / 8 + 1);
  if (size > 0) std::memcpy(words.data(), data, size);
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(words.data()), size);
  const auto parsed = calliope::tensor::GgufFile::parse(file, "fuzz.gguf");
  if (!parsed) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  for (const auto& [key, value] : parsed->metadata()) {
    size_t seen = 0;
    if (const auto text = value.text()) seen += text->size();
    if (const auto texts = value.texts()) {
      for (const auto text : *texts) seen += text.size();
    }
    if (const auto integers = value.integers()) seen += integers->size();
    if (const auto numbers = value.numbers()) seen += numbers->size();
    CHECK(seen <= size && (!value.integer() || value.number()));
    CHECK(!value.boolean() || !value.number());
  }
  for (const auto& [name, view] : parsed->tensors()) {
    CHECK(view.data >= file.data() && view.bytes() <= static_cast<size_t>(file.data() + file.size() - view.data));
    if (view.shape.elements() == 0 || !is_float(view.dtype)) continue;
    std::vector<float> values(static_cast<size_t>(view.shape.elements()));
    view.to_f32(values);
    if (view.shape.rank() > 1) CHECK(view.row(view.shape[0] - 1).data < view.data + view.bytes());
  }
  return 0;
}
