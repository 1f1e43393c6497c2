// A step of speech allocates nothing: this program counts what asks the C library for memory.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/thread_pool.h"
#include "model/model.h"
#include "model/quantize.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // sanitizers bring their own

namespace {
std::atomic<bool> counting = false;
std::atomic<int> allocations = 0;
void count() {
  if (counting) ++allocations;
}
}  // namespace

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
}

namespace calliope::model {
namespace {

// Several answers' frames: talker, code predictor and vocoder, with buffers that a step before has made.
void frames_allocate_nothing(const Model& model) {
  constexpr int kSessions = 3, kWarm = 30, kFrames = 6;  // the vocoder's window is full
  const TalkerConfig& c = model.talker->config();
  const Picker pick = [](std::span<float> logits) { return static_cast<int32_t>(logits.size() / 5); };
  std::vector<TalkerState> states(kSessions);
  std::vector<Code2WavStream> vocoders;
  std::vector<std::vector<int32_t>> codes(kSessions, std::vector<int32_t>(static_cast<size_t>(c.num_code_groups)));
  TalkerScratch scratch;
  tensor::Tensor embeds({kSessions, c.thinker_hidden_size}), texts({kSessions, c.text.hidden_size}), opening({9, c.text.hidden_size});
  Positions positions;
  for (int i = 0; i < 9; ++i) positions.push(i);
  for (TalkerState& state : states) {
    vocoders.emplace_back(*model.code2wav);
    state.decoder.reserve(c.text, 9 + kWarm + kFrames);  // pages are taken beforehand
    opening.data()[0] = 1.0f;
    model.talker->prefill(opening.rows(), positions, state, scratch.decoder);
  }
  std::vector<TalkerStep> steps;
  std::vector<Code2WavStep> frames;
  Code2WavScratch vocoder_scratch;
  for (int i = 0; i < kWarm + kFrames; ++i) {
    counting = i >= kWarm;
    embeds.data()[i] = 0.1f;
    model.talker->project_text(embeds.rows(), texts.rows());
    steps.clear();
    for (size_t b = 0; b < kSessions; ++b) {
      const std::span<const float> text(texts.rows().row(static_cast<int64_t>(b)), static_cast<size_t>(c.text.hidden_size));
      steps.push_back({.state = &states[b], .next_text = text, .pick_code = &pick, .pick_residual = &pick, .codes = codes[b]});
    }
    model.talker->step(steps, scratch);
    frames.clear();
    for (size_t b = 0; b < kSessions; ++b) frames.push_back({.stream = &vocoders[b], .codes = codes[b], .samples = {}});
    const bool spoke = Code2WavStream::step(frames, vocoder_scratch).has_value();
    counting = false;
    ASSERT_TRUE(spoke);
  }
  EXPECT_EQ(allocations.exchange(0), 0);
}

TEST(Allocation, AFrameOfSpeechTakesNone) {
  counting = true;
  int* volatile one = new int;  // volatile, so that neither is left out
  void* volatile other = std::aligned_alloc(64, 64);
  counting = false;
  delete one;
  std::free(other);
  ASSERT_EQ(allocations.exchange(0), 2) << "this program does not count";

  const std::string nano = CALLIOPE_SOURCE_DIR "/models/calliope-nano", file = testing::TempDir() + "calliope-allocation.gguf";
  set_thread_count(1);
  frames_allocate_nothing(**load_model(nano));
  const auto source = open_model_source(nano);
  ASSERT_TRUE(source && quantize_model(*source, tensor::DType::q4_0, file));
  frames_allocate_nothing(**load_model(file));
  std::remove(file.c_str());
}

}  // namespace
}  // namespace calliope::model
#endif
