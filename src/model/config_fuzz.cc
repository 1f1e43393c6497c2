// Whatever bytes config.json, generation_config.json, preprocessor_config.json hold: a config whose parts fit together,
// or a clear error; and no weights, whatever the config asks for, is an error too.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/config.h"
#include "model/image_processor.h"
#include "model/log_mel.h"
#include "model/model.h"

namespace {

template <class T>
void expect_message(const calliope::Result<T>& result) {
  if (!result) CHECK(!result.error().message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace model = calliope::model;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  expect_message(model::parse_generation_config(text));
  expect_message(model::parse_log_mel_config(text));
  const auto image = model::parse_image_processor_config(text);
  expect_message(image);
  if (image) expect_message(model::ImageProcessor(*image).grid(1 + size % 5000, 777));
  const auto config = model::parse_config(text);
  expect_message(config);
  if (!config) return 0;
  const auto& thinker = config->thinker.text;
  CHECK(thinker.num_attention_heads % thinker.num_key_value_heads == 0 && thinker.head_dim % 2 == 0);
  CHECK(config->thinker.audio.output_dim == thinker.hidden_size);
  const model::Weights none;
  CHECK(!model::AudioEncoder::load(none, config->thinker.audio));
  CHECK(!model::VisionEncoder::load(none, config->thinker.vision));
  CHECK(!model::Thinker::load(none, *config));
  if (config->enable_audio_output) {
    CHECK(!model::Talker::load(none, *config));
    CHECK(!model::Code2Wav::load(none, config->code2wav));
  }
  return 0;
}
