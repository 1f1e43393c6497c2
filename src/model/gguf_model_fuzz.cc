// Whatever a GGUF file says of its model: a thinker that runs, or a clear error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "model/chat_template.h"
#include "model/gguf_source.h"
#include "model/thinker.h"
#include "tensor/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calliope;
  std::vector<uint64_t> words(size / 8 + 1);
  if (size > 0) std::memcpy(words.data(), data, size);
  auto parsed = tensor::GgufFile::parse({reinterpret_cast<const std::byte*>(words.data()), size}, "fuzz.gguf");
  if (!parsed) return 0;
  const auto source = model::gguf_source(std::make_shared<const tensor::GgufFile>(std::move(*parsed)), "fuzz.gguf");
  if (!source) {
    CHECK(!source.error().message.empty());
    return 0;
  }
  const auto thinker = model::Thinker::load(source->weights, source->config);
  if (!thinker) {
    CHECK(!thinker.error().message.empty());
    return 0;
  }
  const auto ids = source->tokenizer.encode("<|im_start|>hi \xff", true);
  CHECK(ids);
  if (ids->empty() || source->tokenizer.vocabulary_size() > thinker->config().vocab_size) return 0;
  const auto count = static_cast<int64_t>(ids->size());
  model::Positions positions;
  for (int64_t i = 0; i < count; ++i) positions.push(i);
  tensor::Tensor x({count, thinker->config().hidden_size});
  thinker->embed(*ids, x.rows());
  model::DecoderState state;
  thinker->forward({.embeds = x.rows(), .positions = &positions}, state);
  return 0;
}
