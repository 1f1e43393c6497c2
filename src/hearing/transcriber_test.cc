#include "hearing/transcriber.h"

#include <gtest/gtest.h>

#include "hearing/transcription_question.h"

namespace calliope::hearing {
namespace {

using assistant::Event;
using assistant::Failed;
using assistant::Finished;
using assistant::FinishReason;
using assistant::TextDelta;

/// Answers nothing by itself: the test says what it says.
class FakeEngine : public assistant::Engine {
 public:
  struct Asked {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
  };
  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink,
                      std::stop_token stop) override {
    if (refuse) return std::unexpected(*refuse);
    asked.push_back({std::move(request), std::move(sink), stop});
    return {};
  }
  std::vector<std::string> model_names() const override { return {"fake"}; }
  std::vector<std::string> voices() const override { return {}; }
  void say(size_t piece, std::string text) { asked[piece].sink->on_event(TextDelta{std::move(text)}); }
  void finish(size_t piece, FinishReason reason = FinishReason::stop) {
    asked[piece].sink->on_event(
        Finished{reason, {.prompt_tokens = 10, .prompt_audio_tokens = 6, .completion_tokens = 2}});
  }

  std::vector<Asked> asked;
  std::optional<Error> refuse;
};

class TranscriberTest : public testing::Test {
 protected:
  /// A sound of so many pieces of a second; sample i is i.
  void start(size_t pieces, size_t at_once = 2) {
    auto sound = std::make_shared<assistant::Sound>();
    TranscriptionJob job{
        .id = "t", .user = "u", .max_wait_s = 7, .question = "Write.", .temperature = 0.5f, .at_once = at_once};
    for (size_t i = 0; i < pieces * 16000; ++i) sound->samples.push_back(static_cast<float>(i));
    for (size_t i = 0; i < pieces; ++i)
      job.pieces.push_back({static_cast<int64_t>(i) * 16000 + 10, static_cast<int64_t>(i + 1) * 16000});
    job.sound = std::move(sound);
    transcriber_.emplace(engine_, std::move(job), stop_);
  }
  /// All that there is to take; the last event that was no text is kept.
  std::string take() {
    std::string text;
    while (auto event = transcriber_->next(now_)) {
      if (const auto* delta = std::get_if<TextDelta>(&*event))
        text += delta->text + "|";
      else
        last_ = std::move(event);
    }
    return text;
  }

  FakeEngine engine_;
  std::stop_source stop_;
  Transcriber::Clock::time_point now_{};
  std::optional<Transcriber> transcriber_;
  std::optional<Event> last_;
};

TEST_F(TranscriberTest, AsksForPiecesAndTellsThemInOrder) {
  start(4);
  ASSERT_TRUE(transcriber_->begin());
  EXPECT_EQ(take(), "");
  ASSERT_EQ(engine_.asked.size(), 2u);  // and no more at once
  const assistant::Request& request = engine_.asked[1].request;
  EXPECT_EQ(request.user, "u");
  EXPECT_EQ(engine_.asked[0].request.max_wait_s, 7);
  EXPECT_EQ(request.max_wait_s, 0);
  EXPECT_EQ(request.sampling.temperature, 0.5f);
  EXPECT_EQ(request.max_tokens, 32 + 15);
  const auto& sound = std::get<assistant::SoundPart>(request.turns.at(0).parts.at(0));
  EXPECT_EQ(sound->samples.front(), 16010);
  EXPECT_EQ(sound->samples.size(), 15990u);
  EXPECT_EQ(std::get<std::string>(request.turns[0].parts.at(1)), "Write.");

  engine_.say(1, "Second");
  engine_.finish(1);
  EXPECT_EQ(take(), "");  // the first comes first
  EXPECT_EQ(engine_.asked.size(), 2u);
  engine_.say(0, " One");
  EXPECT_EQ(take(), "One|");
  engine_.say(0, "'s ");
  EXPECT_EQ(take(), "'s|");
  engine_.say(0, "own.\n");
  engine_.finish(0);
  EXPECT_EQ(take(), " own.| Second|");
  ASSERT_EQ(engine_.asked.size(), 4u);
  engine_.say(2, " \n ");  // said nothing
  engine_.finish(2);
  engine_.say(3, "四");
  engine_.finish(3, FinishReason::length);
  EXPECT_EQ(take(), "四|");
  ASSERT_TRUE(last_);
  const auto& end = std::get<Finished>(*last_);
  EXPECT_EQ(end.reason, FinishReason::length);
  EXPECT_EQ(end.usage.prompt_tokens, 40);
  EXPECT_EQ(end.usage.prompt_audio_tokens, 24);
  EXPECT_EQ(end.usage.completion_tokens, 8);
  const auto segments = transcriber_->segments();
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[0].text, "One's own.");
  EXPECT_EQ(segments[1].text, "Second");
  EXPECT_EQ(segments[1].where, (Stretch{16010, 32000}));
  EXPECT_EQ(segments[2].where.end, 64000);
}

TEST_F(TranscriberTest, NothingSaidIsDoneAtOnce) {
  start(0);
  ASSERT_TRUE(transcriber_->begin());
  EXPECT_EQ(take(), "");
  EXPECT_TRUE(std::holds_alternative<Finished>(*last_));
  EXPECT_TRUE(engine_.asked.empty());
}

TEST_F(TranscriberTest, AFullQueueRefusesTheFirstPieceAndDelaysOthers) {
  const Error full{ErrorCode::unavailable, "Busy.", {}, 9};
  start(3, 1);
  engine_.refuse = full;
  const auto refused = transcriber_->begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after_s, 9);

  engine_.refuse.reset();
  start(3, 1);
  ASSERT_TRUE(transcriber_->begin());
  engine_.refuse = full;
  engine_.say(0, "a");
  engine_.finish(0);
  EXPECT_EQ(take(), "a|");
  EXPECT_EQ(engine_.asked.size(), 1u);
  engine_.refuse.reset();
  EXPECT_EQ(take(), "");
  EXPECT_EQ(engine_.asked.size(), 1u);  // not at once again
  now_ += std::chrono::seconds(1);
  EXPECT_EQ(take(), "");
  ASSERT_EQ(engine_.asked.size(), 2u);

  engine_.refuse = full;
  engine_.finish(1);
  take();
  now_ += Transcriber::kPatience - std::chrono::seconds(1);
  take();
  EXPECT_FALSE(last_);
  now_ += std::chrono::seconds(2);
  take();
  ASSERT_TRUE(last_);
  EXPECT_EQ(std::get<Failed>(*last_).error.code, ErrorCode::unavailable);
}

TEST_F(TranscriberTest, AFailureEndsAll) {
  start(3);
  ASSERT_TRUE(transcriber_->begin());
  take();
  engine_.say(0, "a");
  engine_.asked[1].sink->on_event(Failed{{ErrorCode::internal, "A step failed."}});
  take();
  EXPECT_EQ(std::get<Failed>(*last_).error.message, "A step failed.");
  EXPECT_TRUE(engine_.asked[0].stop.stop_requested());
  engine_.finish(0, FinishReason::cancelled);
  EXPECT_FALSE(transcriber_->next(now_));
}

TEST_F(TranscriberTest, DestroyingItStopsAllAndLateEventsAreLost) {
  start(3);
  ASSERT_TRUE(transcriber_->begin());
  int woken = 0;
  transcriber_->attach([&] { ++woken; });
  take();
  engine_.say(0, "a");
  EXPECT_EQ(woken, 1);
  transcriber_.reset();
  EXPECT_TRUE(engine_.asked[0].stop.stop_requested());
  EXPECT_TRUE(engine_.asked[1].stop.stop_requested());
  engine_.say(1, "b");
  engine_.finish(1, FinishReason::cancelled);
  EXPECT_EQ(woken, 1);
}

TEST_F(TranscriberTest, AStopFromOutsideIsACancelledEnd) {
  start(1);
  ASSERT_TRUE(transcriber_->begin());
  stop_.request_stop();
  EXPECT_TRUE(engine_.asked[0].stop.stop_requested());
  engine_.finish(0, FinishReason::cancelled);
  take();
  EXPECT_EQ(std::get<Finished>(*last_).reason, FinishReason::cancelled);
}

TEST(TranscriptionQuestion, FillsInWhatIsKnown) {
  const assistant::TranscriptionStyle usual;
  EXPECT_EQ(transcription_question(usual, "", ""), "Transcribe the audio into text.");
  EXPECT_EQ(transcription_question(usual, "de", ""), "Transcribe the German audio into text.");
  EXPECT_EQ(transcription_question(usual, "Klingon", "A {language} {prompt}."),
            "Transcribe the Klingon audio into text. A {language} {prompt}.");
  const assistant::TranscriptionStyle own{.question = "Transcribe the speech."};
  EXPECT_EQ(transcription_question(own, "de", "Names."), "Transcribe the speech.");
  const assistant::TranscriptionStyle alone{.question = "{language}"};
  EXPECT_EQ(transcription_question(alone, "", ""), "");
}

}  // namespace
}  // namespace calliope::hearing
