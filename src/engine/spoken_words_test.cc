#include "engine/spoken_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>
#include <vector>

#include "engine/test_requests.h"
#include "engine/tool_calls.h"

namespace calliope::engine {
namespace {

using Marks = std::vector<assistant::SpokenMark>;

constexpr int64_t kFrame = 1920, kTrimmed = 480;

// Loud or quiet stretches of so many 10 ms.
std::vector<float> sound(const std::vector<std::pair<bool, int>>& stretches) {
  std::vector<float> samples;
  for (const auto& [loud, blocks] : stretches) {
    for (int i = 0; i < blocks * 240; ++i)
      samples.push_back(loud ? 0.5f * std::sin(0.3f * static_cast<float>(i)) : 0.0f);
  }
  return samples;
}

void take(SpokenWords& words, Marks& marks, int64_t samples) {
  while (const auto mark = words.next(samples)) marks.push_back(*mark);
}

std::string ends(const Marks& marks) {
  std::string text;
  for (const auto& mark : marks) text += std::to_string(mark.text_bytes) + "@" + std::to_string(mark.samples) + " ";
  return text;
}

// Shares of tokens in frames that look at one token each, all but a little.
void look_at(SpokenWords& words, const std::vector<size_t>& tokens, size_t count) {
  for (const size_t token : tokens) {
    std::vector<float> shares(count, 0.01f);
    shares[token] = 1 - 0.01f * static_cast<float>(count - 1);
    words.look(shares);
  }
}

TEST(SpokenWords, AWordEndsWhereTheTalkerLooksOn) {
  SpokenWords words({.attention = true, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  for (const char* piece : {"One", " twenty", "-two", ", ", "three."}) words.push_text(piece);
  Marks marks;
  look_at(words, {0, 0, 1, 2, 2, 4, 4, 4}, 5);
  take(words, marks, 0);
  words.push_samples(sound({{true, 64}}));
  take(words, marks, 3599);
  EXPECT_TRUE(marks.empty()) << "told before it was sent: " << ends(marks);
  take(words, marks, 64 * 240);
  EXPECT_EQ(ends(marks), "3@3600 15@9360 ");
  words.settle(true);
  take(words, marks, 64 * 240);
  EXPECT_EQ(ends(marks), "3@3600 15@9360 22@15360 ");
}

TEST(SpokenWords, AGlanceAheadEndsNoWord) {
  SpokenWords words({.attention = true, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  for (const char* piece : {"A", " strawberry", " is", " red"}) words.push_text(piece);
  look_at(words, {0, 1, 1, 1, 3, 3, 1, 1, 2, 3, 3, 3}, 4);
  words.push_samples(sound({{true, 100}}));
  Marks marks;
  take(words, marks, 100 * 240);
  EXPECT_EQ(ends(marks), "1@1680 12@15120 15@17040 ");
}

TEST(SpokenWords, WordsThatEndTogetherAreOneMark) {
  SpokenWords words({.attention = true, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  for (const char* piece : {"One", " of", " a", " kind"}) words.push_text(piece);
  look_at(words, {0, 0, 3, 3, 3, 3, 3}, 4);
  words.push_samples(sound({{true, 100}}));
  Marks marks;
  take(words, marks, 100 * 240);
  EXPECT_FALSE(marks.empty());
  words.settle(true);
  take(words, marks, 100 * 240);
  for (size_t i = 1; i < marks.size(); ++i) EXPECT_GT(marks[i].samples, marks[i - 1].samples) << ends(marks);
  EXPECT_EQ(marks.back().text_bytes, 13u);
}

TEST(SpokenWords, AWordEndsWhereItBecomesQuiet) {
  SpokenWords words({.attention = true, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  words.push_text("Hello,");
  words.push_text(" there");
  look_at(words, {0, 0, 0, 0, 0, 1, 1}, 2);
  const auto samples = sound({{true, 20}, {false, 20}, {true, 10}, {false, 10}});
  Marks marks;
  for (size_t i = 0; i < samples.size(); i += 100) {
    words.push_samples(std::span(samples).subspan(i, std::min<size_t>(100, samples.size() - i)));
    take(words, marks, static_cast<int64_t>(std::min(samples.size(), i + 100)));
  }
  words.settle(true);
  take(words, marks, 60 * 240);
  EXPECT_EQ(ends(marks), "6@5040 12@12240 ");
}

TEST(SpokenWords, WithoutAttentionPausesPutThePaceRight) {
  // Faster than usual: fifteen letters in 0.9 s, a pause, the rest.
  SpokenWords words({.attention = false, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  for (const char* piece : {"Abcde ", "fghij", " klmn, opqrs", " tuvwx."}) words.push_text(piece);
  words.push_samples(sound({{false, 10}, {true, 90}, {false, 30}, {true, 100}}));
  Marks marks;
  take(words, marks, 230 * 240);
  ASSERT_EQ(marks.size(), 4u) << ends(marks);
  EXPECT_EQ(marks[2].text_bytes, 17u);
  EXPECT_NEAR(marks[2].samples, 100 * 240, 240) << "the comma is where the pause begins";
  EXPECT_NEAR(marks[3].samples, (130 + 30) * 240, 2 * 240) << "at the pace so far";
  words.settle(true);
  take(words, marks, 230 * 240);
  EXPECT_EQ(marks.back().text_bytes, 30u);
  EXPECT_EQ(marks.back().samples, 230 * 240);
}

TEST(SpokenWords, IdeographsAreWords) {
  SpokenWords words({.attention = true, .samples_per_frame = kFrame, .trimmed_samples = kTrimmed});
  for (const char* piece : {"你", "好。", "再", "见"}) words.push_text(piece);
  look_at(words, {0, 1, 1, 2, 3}, 4);
  words.push_samples(sound({{true, 40}}));
  words.settle(true);
  Marks marks;
  take(words, marks, 40 * 240);
  EXPECT_EQ(ends(marks), "3@1680 9@5520 12@7440 15@9600 ");
}

// Marks rise and come when their samples have been sent.
void expect_rising(const KeepingSink& sink, const std::string& what) {
  for (size_t i = 0; i < sink.marks.size(); ++i) {
    const auto& [mark, text, samples] = sink.marks[i];
    EXPECT_LE(mark.text_bytes, text) << what;
    EXPECT_LE(mark.samples, static_cast<int64_t>(samples)) << what;
    if (i == 0) continue;
    const auto& before = sink.marks[i - 1].mark;
    EXPECT_TRUE(mark.text_bytes >= before.text_bytes && mark.samples >= before.samples) << what;
    EXPECT_TRUE(mark.text_bytes > before.text_bytes || mark.samples > before.samples) << what;
  }
}

// And the last one names everything.
void expect_whole(const KeepingSink& sink, const std::string& what) {
  expect_rising(sink, what);
  ASSERT_FALSE(sink.marks.empty()) << what;
  EXPECT_EQ(sink.marks.back().mark.text_bytes, sink.text.size()) << what;
  EXPECT_EQ(sink.marks.back().mark.samples, static_cast<int64_t>(sink.samples.size())) << what;
}

// As a session does it: what is a call is neither text nor said, what only looks like one is text that nobody says.
TEST(SpokenWords, AreFoundInTheTextBesideCalls) {
  ToolCallReader reader({"f"});
  SpokenWords words({.samples_per_frame = kFrame});
  std::string told;
  std::deque<std::pair<size_t, std::string>> waiting;
  size_t written = 0;
  for (const std::string token : {"Let", " me", " see", ".\n", R"(<tool_call>{"name":"f"}</tool_call>)", "\n", "<tool_call>no</tool_call>",
                                  " So", " there", "."}) {
    for (const auto& piece : reader.push(token)) {
      if (const auto* text = std::get_if<std::string>(&piece)) told += *text;
    }
    waiting.emplace_back(written, token);
    written += token.size();
    for (; !waiting.empty(); waiting.pop_front()) {
      const auto& [begin, text] = waiting.front();
      const size_t end = begin + text.size();
      const auto said = reader.said(begin, end);
      if (said == ToolCallReader::Said::later) break;
      if (said == ToolCallReader::Said::aloud) words.push_text(text);
      else words.skip_text(reader.told(begin, end));
    }
  }
  EXPECT_EQ(told, "Let me see.<tool_call>no</tool_call> So there.");
  Marks marks;
  words.push_samples(sound({{true, 100}}));
  words.settle(true);
  take(words, marks, 100 * 240);
  std::vector<std::string> said;
  size_t from = 0;
  for (const auto& mark : marks) {
    said.push_back(told.substr(from, mark.text_bytes - from));
    from = mark.text_bytes;
  }
  EXPECT_EQ(marks.back().text_bytes, told.size());
  EXPECT_EQ(told.substr(0, marks.front().text_bytes), "Let");
  EXPECT_NE(std::ranges::find(said, " see"), said.end()) << ends(marks);
}

std::shared_ptr<const model::Model> model_that_looks(const std::string& name) {
  const auto model = std::const_pointer_cast<model::Model>(test_model_that_samples(name));
  const auto& text = model->config.talker.text;
  model->generation.talker_alignment_heads = {{0, 0}, {text.num_hidden_layers - 1, text.num_attention_heads - 1}};
  return model;
}

TEST(SpokenMarks, RiseAndNameEverythingAloneAndTogether) {
  for (const char* name : {"dense_tied", "moe_bf16", "wide_heads"}) {
    for (const auto& model : {model_that_looks(name), test_model_that_samples(name)}) {
      const auto requests = test_requests();
      Rounds rounds(model);
      std::vector<std::shared_ptr<KeepingSink>> together;
      for (const auto& request : requests) {
        together.push_back(rounds.add(request));
        rounds.step(2);
      }
      rounds.run();
      size_t words = 0;
      for (size_t i = 0; i < requests.size(); ++i) {
        const std::string what = name + std::to_string(i);
        expect_same(*together[i], *answered_alone(model, requests[i]), what);
        if (requests[i].speak)
          expect_whole(*together[i], what);
        else
          EXPECT_TRUE(together[i]->marks.empty()) << what;
        words += together[i]->marks.size();
      }
      EXPECT_GT(words, 4u) << name;
    }
  }
}

TEST(SpokenMarks, LookingChangesNothing) {
  const auto looking = model_that_looks("moe_bf16"), blind = test_model_that_samples("moe_bf16");
  for (const auto& request : test_requests()) {
    auto one = answered_alone(looking, request), other = answered_alone(blind, request);
    one->marks = other->marks;
    expect_same(*one, *other, "looked at");
  }
}

TEST(SpokenMarks, ACancelTellsOfWhatWasSent) {
  const auto model = model_that_looks("dense_tied");
  const auto request = test_requests()[0];
  const auto whole = answered_alone(model, request);
  for (const int rounds : {3, 6, 10, 15, 21, 30}) {
    Rounds batch(model);
    std::stop_source stop;
    const auto sink = batch.add(request, stop.get_token());
    batch.step(rounds);
    stop.request_stop();
    batch.run();
    expect_rising(*sink, std::to_string(rounds));
    for (const auto& marked : sink->marks) EXPECT_LE(marked.mark.text_bytes, whole->text.size());
  }
}

TEST(SpokenMarks, AStopStringEndsWhatTheyName) {
  const auto model = model_that_looks("dense_tied");
  auto request = test_requests()[0];
  const auto whole = answered_alone(model, request);
  ASSERT_GT(whole->text.size(), 6u);
  request.stop = {whole->text.substr(whole->text.size() / 2, 3)};
  const auto cut = answered_alone(model, request);
  ASSERT_LT(cut->text.size(), whole->text.size());
  if (!cut->samples.empty()) expect_whole(*cut, "cut");
}

TEST(SpokenMarks, CalliopeNanoTellsWhenWordsAreSaid) {
  auto loaded = model::load_model(CALLIOPE_SOURCE_DIR "/models/calliope-nano");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_FALSE((*loaded)->generation.talker_alignment_heads.empty());
  const auto sink = answered_alone(*loaded, test_request({"What is the capital of France?"}, 40, true));
  expect_whole(*sink, sink->text);
  const size_t words = 1 + static_cast<size_t>(std::ranges::count(sink->text, ' '));
  EXPECT_GE(sink->marks.size(), words) << sink->text;
  // No word lasts longer than a second and a half.
  for (size_t i = 1; i < sink->marks.size(); ++i)
    EXPECT_LT(sink->marks[i].mark.samples - sink->marks[i - 1].mark.samples, 36000);
}

}  // namespace
}  // namespace calliope::engine
