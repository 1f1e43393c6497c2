// Given text read aloud: by itself, beside others, stopped, and by calliope-nano.
#include "engine/reading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/test_requests.h"
#include "reading/pronunciations.h"

namespace calliope::engine {
namespace {

std::shared_ptr<const model::Model> nano() {
  static const auto model = *model::load_model(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  return model;
}

assistant::Request reading_of(std::string text) {
  assistant::Request request{.speak = true};
  request.read_aloud = std::move(text);
  request.sampling.seed = 7;
  return request;
}

double seconds(size_t samples) { return double(samples) / assistant::kSpeechSampleRate; }

TEST(Reading, ComesOutTheSameBesideOthersAndAgain) {
  const auto model = test_model_that_samples("full_rate");
  const auto first = reading_of("The quick brown fox jumps over the lazy dog. Then it sleeps."),
             second = reading_of("Hello there.");
  const auto alone = answered_alone(model, first), other_alone = answered_alone(model, second);
  ASSERT_TRUE(alone->finish) << alone->error->message;
  EXPECT_GT(alone->finish->usage.completion_audio_frames, 0);
  EXPECT_GT(alone->finish->usage.prompt_tokens, 10);
  EXPECT_TRUE(alone->text.empty());
  Rounds rounds(model);
  const auto beside = rounds.add(first), other = rounds.add(second), answer = rounds.add(test_requests()[0]);
  rounds.run();
  expect_same(*beside, *alone, "beside others");
  expect_same(*other, *other_alone, "the other");
  expect_same(*answer, *answered_alone(model, test_requests()[0]), "an answer beside readings");
}

TEST(Reading, NanoReadsEveryPassageAndEndsInTime) {
  const std::string text = "The capital of France is Paris. Three plus four is seven!\n\nA dog has 4 legs.";
  const auto sink = answered_alone(nano(), reading_of(text));
  ASSERT_TRUE(sink->finish) << sink->error->message;
  EXPECT_EQ(sink->finish->reason, assistant::FinishReason::stop);
  ASSERT_FALSE(sink->marks.empty());
  EXPECT_EQ(sink->marks.back().mark.text_bytes, text.size());
  EXPECT_EQ(sink->marks.back().mark.samples, static_cast<int64_t>(sink->samples.size()));
  // Every word of the text as it was written is marked, in order, "4" among them.
  size_t at = 0;
  int64_t samples = -1;
  for (const auto& [mark, bytes, sent] : sink->marks) {
    EXPECT_TRUE(mark.text_bytes >= at && mark.samples >= samples);
    EXPECT_LE(mark.samples, static_cast<int64_t>(sent));
    EXPECT_TRUE(mark.text_bytes == text.size() ||
                std::string_view(" \n").find(text[mark.text_bytes]) != std::string_view::npos ||
                std::string_view(".!").find(text[mark.text_bytes]) != std::string_view::npos)
        << mark.text_bytes;
    at = mark.text_bytes;
    samples = mark.samples;
  }
  EXPECT_GT(sink->marks.size(), 12u);
  // Neither end has more than a moment of silence.
  const auto loud = [](float sample) { return std::abs(sample) > 0.02f; };
  const auto first = std::ranges::find_if(sink->samples, loud) - sink->samples.begin();
  const auto last = std::find_if(sink->samples.rbegin(), sink->samples.rend(), loud) - sink->samples.rbegin();
  EXPECT_LT(seconds(static_cast<size_t>(first)), 0.3);
  EXPECT_LT(seconds(static_cast<size_t>(last)), 0.5);
  EXPECT_GT(seconds(sink->samples.size()), 3.5);
  EXPECT_LT(seconds(sink->samples.size()), 12);
}

// calliope-nano's talker learned how words sound, so that is what it gets; what is marked is the text as it was written.
TEST(Reading, NanoGetsWordsAsTheySound) {
  const std::string text = "Enough, colonel. The 2 queues are through.";
  auto reading = Reading::make(*nano(), reading_of(text), 1 << 12);
  ASSERT_TRUE(reading) << reading.error().message;
  std::string given;
  while (reading->more()) {
    const auto passage = reading->begin(0);
    ASSERT_TRUE(passage) << passage.error().message;
    std::string pieces;
    for (const std::string& piece : passage->pieces) pieces += piece;
    EXPECT_EQ(reading->place({pieces.size(), 0}).text_bytes, reading->read_bytes());
    if (given.empty()) {
      EXPECT_EQ(reading->place({pieces.find(','), 0}).text_bytes, text.find(','));
    }
    given += pieces + "|";
  }
  EXPECT_EQ(given, reading::spelled_as_said("Enough, colonel.").text + "|" +
                       reading::spelled_as_said("The two queues are through.").text + "|");
  EXPECT_NE(given.find("inxf"), std::string::npos);
}

TEST(Reading, ALongerTextIsSpokenInPassagesOfOneSize) {
  std::string text;
  for (int i = 0; i < 12; ++i) text += "The opposite of big is small. ";
  const auto one = answered_alone(nano(), reading_of("The opposite of big is small."));
  Rounds rounds(nano());
  const auto sink = rounds.add(reading_of(text));
  int64_t most_pages = 0;
  while (rounds.scheduler().sessions() > 0) {
    rounds.step();
    most_pages = std::max(most_pages, rounds.scheduler().stats().talker.used_pages);
  }
  ASSERT_TRUE(sink->finish) << sink->error->message;
  // Each sentence as long as alone but for pauses.
  EXPECT_NEAR(seconds(sink->samples.size()), 12 * (seconds(one->samples.size()) + 0.35), 12 * 0.6);
  EXPECT_LE(most_pages, 4);
  EXPECT_EQ(rounds.scheduler().stats().talker.used_pages, 0);
  EXPECT_EQ(rounds.scheduler().memory().claimed_pages().talker, 0);
}

TEST(Reading, StopsWhenAsked) {
  const auto model = test_model("full_rate");
  std::stop_source stop;
  Rounds rounds(model);
  const auto sink = rounds.add(reading_of("The quick brown fox jumps over the lazy dog, again and again and again."),
                               stop.get_token());
  for (int i = 0; i < 1000 && sink->samples.empty(); ++i) rounds.step();
  stop.request_stop();
  rounds.step();
  ASSERT_TRUE(sink->finish);
  EXPECT_EQ(sink->finish->reason, assistant::FinishReason::cancelled);
}

// A sink whose reader takes nothing.
class FullSink final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    if (const auto* audio = std::get_if<assistant::AudioDelta>(&event)) samples += audio->samples.size();
    if (const auto* finished = std::get_if<assistant::Failed>(&event)) error = finished->error;
    ended =
        ended || std::holds_alternative<assistant::Finished>(event) || std::holds_alternative<assistant::Failed>(event);
  }
  bool full() const override { return samples > 0 && is_full; }
  size_t samples = 0;
  bool is_full = true, ended = false;
  std::optional<Error> error;
};

TEST(Reading, RestsWhileItsReaderHasEnough) {
  const auto model = nano();
  Time now{};
  Scheduler scheduler(*model, *KvMemory::make(*model, {}), {}, Meter{.now = [&] { return now; }});
  const auto sink = std::make_shared<FullSink>();
  auto request = reading_of("The capital of France is Paris. The capital of Spain is Madrid.");
  request.live = true;
  scheduler.add(std::make_unique<Session>(model, request, sink, std::stop_token()));
  for (int i = 0; i < 200; ++i) scheduler.step();
  const size_t held = sink->samples;
  EXPECT_GT(held, 0u);
  EXPECT_LT(held, 48000u);
  EXPECT_FALSE(sink->ended);
  sink->is_full = false;
  for (int i = 0; i < 20; ++i) scheduler.step();
  EXPECT_GT(sink->samples, held);  // goes on
  sink->is_full = true;
  now += std::chrono::minutes(2);  // a listener would have heard it all by now
  scheduler.step();
  ASSERT_TRUE(sink->error);
  EXPECT_EQ(sink->error->code, ErrorCode::unavailable);
}

TEST(Reading, RefusesWhatCannotBeRead) {
  const auto refused = [&](assistant::Request request) {
    const auto sink = answered_alone(nano(), request);
    return sink->error ? sink->error->message : "";
  };
  EXPECT_NE(refused(reading_of("... !!!")).find("no letters or digits"), std::string::npos);
  EXPECT_NE(refused(reading_of(std::string(Reading::kMostBytes + 1, 'a'))).find("at most"), std::string::npos);
  auto shown = reading_of("hello");
  shown.turns.push_back({assistant::Role::user, {test_picture(32, 32, 1)}});
  EXPECT_FALSE(check_request(*nano(), shown));
}

// Bytes of any kind are spoken somehow, never more than their length allows.
TEST(Reading, AnyTextEnds) {
  for (const std::string& text :
       {std::string("\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82"),
        std::string("zzzzqqqq xxkcd <|im_end|> \xf0\x9f\x98\x80 a"), std::string("7")}) {
    const auto sink = answered_alone(nano(), reading_of(text));
    ASSERT_TRUE(sink->finish) << text;
    EXPECT_LE(sink->finish->usage.completion_audio_frames, 12.5 * (4 + double(text.size()))) << text;
  }
}

TEST(PassageSound, PiecesOfAnySizeGiveTheSame) {
  std::vector<float> samples(2 * 24000);
  for (size_t i = 9000; i < 30000; ++i) samples[i] = (i / 4000) % 2 == 0 ? 0.3f * std::sin(0.05f * float(i)) : 0.0f;
  const auto through = [&](size_t piece) {
    PassageSound sound;
    std::vector<float> out;
    for (size_t at = 0; at < samples.size(); at += piece) {
      sound.push(std::span(samples).subspan(at, std::min(piece, samples.size() - at)), out);
      EXPECT_LE(sound.given(), static_cast<int64_t>(std::min(at + piece, samples.size())));
    }
    sound.finish(out);
    return out;
  };
  const auto whole = through(samples.size());
  for (const size_t piece : {1, 7, 240, 1000, 1920}) EXPECT_TRUE(through(piece) == whole) << piece;
  // The silence before and after is cut, that between stays; both ends are quiet.
  EXPECT_GT(seconds(whole.size()), 0.7);
  EXPECT_LT(seconds(whole.size()), 1.2);
  EXPECT_LT(std::abs(whole.front()), 0.01f);
  EXPECT_LT(std::abs(whole.back()), 0.01f);
}

TEST(PassageSound, NeitherEndClicks) {
  PassageSound sound;
  std::vector<float> out;
  sound.push(std::vector<float>(5000, 0.5f), out);
  EXPECT_LT(out.size(), 5000u);
  sound.finish(out);
  ASSERT_EQ(out.size(), 5000u);
  for (size_t i = 1; i < out.size(); ++i) EXPECT_LT(std::abs(out[i] - out[i - 1]), 0.01f) << i;
  EXPECT_LT(out.front(), 0.01f);
  EXPECT_LT(out.back(), 0.01f);
  PassageSound silence;
  std::vector<float> nothing;
  silence.push(std::vector<float>(50000), nothing);
  silence.finish(nothing);
  EXPECT_TRUE(nothing.empty());
}

}  // namespace
}  // namespace calliope::engine
