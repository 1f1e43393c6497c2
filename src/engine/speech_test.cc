// The talker's lead: frames in which it reads ahead, which nobody hears.
#include "engine/speech.h"

#include <gtest/gtest.h>

#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

std::vector<int32_t> codes_of(const model::Model& model, int lead, int frames, size_t* samples = nullptr) {
  assistant::Request request;
  request.turns.push_back({assistant::Role::user, {"Hello."}});
  Prompt prompt;
  prompt.ids = *prompt_ids(model, request);
  Speech speech(model, prompt, {}, "", {.greedy = true, .max_frames = frames, .lead_frames = lead});
  const auto tokens = model.tokenizer.encode("The quick brown fox jumps over the lazy dog.", false);
  for (const int32_t token : *tokens) speech.push(token);
  speech.finish_text();
  size_t count = 0;
  while (!speech.done()) {
    const auto made = speech.step();
    EXPECT_TRUE(made);
    count += made->size();
  }
  EXPECT_EQ(speech.codes().size(), static_cast<size_t>(speech.frames() * model.config.talker.num_code_groups));
  if (samples) *samples = count;
  return speech.codes();
}

TEST(Speech, ALeadIsSpokenAndNotHeard) {
  const auto model = test_model("full_rate");
  const auto groups = static_cast<size_t>(model->config.talker.num_code_groups);
  const auto whole = codes_of(*model, 0, 12);
  ASSERT_EQ(whole.size(), 12 * groups) << "the test wants an answer that does not end before";
  size_t samples = 0;
  const auto heard = codes_of(*model, 4, 8, &samples);
  EXPECT_EQ(heard, std::vector<int32_t>(whole.begin() + static_cast<ptrdiff_t>(4 * groups), whole.end()));
  EXPECT_EQ(samples, static_cast<size_t>(model->code2wav->samples(8)));
}

TEST(Speech, ALeadHasItsPlaceInMemoryAndIsNotCounted) {
  const auto model = std::const_pointer_cast<model::Model>(test_model("full_rate"));
  auto request = test_request({"Hello there, who are you?"}, 40, true);
  const auto whole = answered_alone(model, request);
  ASSERT_TRUE(whole->finish);
  const int frames = whole->finish->usage.completion_audio_frames;
  ASSERT_GT(frames, 5);
  model->generation.talker_lead_frames = 5;
  Rounds rounds(model);
  const auto sink = rounds.add(request);
  rounds.run();
  ASSERT_TRUE(sink->finish) << sink->error->message;
  EXPECT_EQ(sink->text, whole->text);
  EXPECT_EQ(rounds.scheduler().memory().claimed_pages().talker, 0);
  const int left = sink->finish->usage.completion_audio_frames;
  // Where the answer was cut off at the most frames, there are as many again.
  EXPECT_TRUE(left == frames - 5 || left == max_frames(model->generation)) << left << " of " << frames;
  EXPECT_EQ(sink->samples.size(), static_cast<size_t>(model->code2wav->samples(left)));
}

}  // namespace
}  // namespace calliope::engine
