#include "media/worker.h"

namespace calliope::media {

struct DecodePool::State {
  Options options;
};

DecodePool::DecodePool(Options options) : state_(std::make_unique<State>(State{std::move(options)})) {}
DecodePool::~DecodePool() = default;

Result<Picture> DecodePool::picture(std::span<const uint8_t> bytes) { return decode_picture(bytes, state_->options.limits); }
Result<std::vector<float>> DecodePool::sound(std::span<const uint8_t> bytes) { return decode_sound(bytes, state_->options.limits); }

int media_worker_main() { return 1; }

}  // namespace calliope::media
