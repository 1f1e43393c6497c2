#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include "engine/test_requests.h"

namespace calliope::engine {
namespace {

std::vector<TokenMark> marks_from(int first, int count) {
  std::vector<TokenMark> marks;
  for (int i = 0; i < count; ++i) marks.push_back(TokenMark::token(first + i));
  return marks;
}

class PrefixCacheTest : public testing::Test {
 protected:
  static model::DecoderConfig config() {
    model::DecoderConfig config;
    config.num_hidden_layers = 1;
    config.num_key_value_heads = 1;
    config.head_dim = 8;
    return config;
  }
  std::shared_ptr<model::KvPages> memory_ =
      std::make_shared<model::KvPages>(config(), model::KvPages::Options{.tokens = 16, .most_pages = 4});

  // A page that only the cache holds.
  uint64_t keep(PrefixCache& cache, uint64_t after, std::span<const TokenMark> marks, std::vector<float> media = {}) {
    const int32_t page = memory_->take();
    const uint64_t name = cache.keep(after, marks, page, std::move(media));
    memory_->release(page);
    return name;
  }
};

TEST_F(PrefixCacheTest, FindsTheLongestKnownBeginning) {
  PrefixCache cache(memory_);
  const auto marks = marks_from(0, 50);
  const std::span all(marks);
  const uint64_t first = keep(cache, PrefixCache::kStart, all.subspan(0, 16), {1, 2});
  const uint64_t second = keep(cache, first, all.subspan(16, 16), {3});
  EXPECT_TRUE(cache.find(all.first(15)).pages.empty());
  EXPECT_EQ(cache.find(all.first(31)).last, first);
  const auto found = cache.find(all);
  EXPECT_EQ(found.last, second);
  EXPECT_EQ(found.pages.size(), 2u);
  EXPECT_EQ(found.media_hidden, (std::vector<float>{1, 2, 3}));
  // The same marks elsewhere are another page.
  EXPECT_TRUE(cache.find(all.subspan(16)).pages.empty());
  auto changed = marks;
  changed[20].b = 1;
  EXPECT_EQ(cache.find(changed).last, first);
  EXPECT_EQ(keep(cache, first, all.subspan(16, 16)), second) << "kept twice";
  EXPECT_EQ(memory_->used_pages(), 2);
}

TEST_F(PrefixCacheTest, WhenFullTheLongestUnusedEndGoesFirstAndNothingInUse) {
  PrefixCache cache(memory_);
  const auto a = marks_from(0, 32), b = marks_from(100, 16);
  const uint64_t a1 = keep(cache, PrefixCache::kStart, std::span(a).first(16));
  keep(cache, a1, std::span(a).subspan(16));
  keep(cache, PrefixCache::kStart, b);
  cache.find(a);
  std::vector<int32_t> taken = {memory_->take()};
  EXPECT_EQ(cache.pages(), 3);
  taken.push_back(memory_->take());
  EXPECT_TRUE(cache.find(b).pages.empty()) << "b was used before a";
  // In use: a page that a sequence holds stays.
  const int32_t held = cache.find(a).pages[0];
  memory_->share(held);
  taken.push_back(memory_->take());
  EXPECT_EQ(cache.find(a).pages, std::vector<int32_t>{held});
  memory_->release(held);
  taken.push_back(memory_->take());
  EXPECT_EQ(cache.pages(), 0);
  for (const int32_t page : taken) memory_->release(page);
  EXPECT_EQ(memory_->used_pages(), 0);
}

TEST(TokenMark, MediaDifferInContentSizeAndKind) {
  const auto hash = [](const assistant::ImagePart& image) { return content_hash(*image); };
  EXPECT_EQ(hash(test_picture(20, 10, 1)), hash(test_picture(20, 10, 1)));
  EXPECT_NE(hash(test_picture(20, 10, 1)), hash(test_picture(20, 10, 2)));
  auto turned = *test_picture(20, 10, 1);
  std::swap(turned.width, turned.height);
  EXPECT_NE(hash(test_picture(20, 10, 1)), content_hash(turned));
  const auto sound = test_sound(100, 1);
  auto longer = sound->samples;
  longer.push_back(0.0f);
  EXPECT_NE(content_hash(sound->samples, {}), content_hash(longer, {}));
  EXPECT_NE(content_hash(longer, {}), content_hash(longer, {1}));
  const ContentHash some = hash(test_picture(20, 10, 1));
  EXPECT_NE(TokenMark::medium(some, 0), TokenMark::medium(some, 1));
  EXPECT_NE(TokenMark::medium({5, 0}, 0), TokenMark::token(5));
}

TEST(MediaCacheTest, KeepsTheLastUsedWithinItsBytes) {
  MediaCache cache(100 * sizeof(float));
  const auto features = [](float value, int64_t rows) {
    model::VisionFeatures made{tensor::Tensor({rows, 5}), {tensor::Tensor({rows, 5})}};
    made.features.data()[0] = value;
    return made;
  };
  cache.keep({1, 0}, features(1, 4));
  cache.keep({2, 0}, features(2, 4));
  EXPECT_EQ(cache.bytes(), 80 * sizeof(float));
  ASSERT_TRUE(cache.find({1, 0}));
  EXPECT_EQ(cache.find({1, 0})->features.data()[0], 1);
  cache.keep({3, 0}, features(3, 4));
  EXPECT_FALSE(cache.find({2, 0}));
  EXPECT_TRUE(cache.find({1, 0}) && cache.find({3, 0}));
  cache.keep({4, 0}, features(4, 40));
  EXPECT_FALSE(cache.find({4, 0}));
  EXPECT_EQ(cache.bytes(), 80 * sizeof(float));
}

// A conversation that goes on, with media and speech: nothing but the time differs.
TEST(PrefixReuse, GivesIdenticalAnswers) {
  const auto model = test_model("moe_bf16");
  for (auto request : {test_requests()[4], test_requests()[3]}) {
    request.turns[0].parts.emplace_back(std::string(150, 'a'));
    Rounds rounds(model);
    const auto& cache = *rounds.scheduler().prefixes();
    const auto first = rounds.add(request);
    rounds.run();
    EXPECT_EQ(cache.pages_found(), 0);
    expect_same(*first, *answered_alone(model, request), "first");
    const auto again = rounds.add(request);
    rounds.run();
    EXPECT_GT(cache.pages_found(), 0);
    expect_same(*again, *first, "again");
    EXPECT_EQ(again->finish->usage.prompt_cached_tokens, cache.pages_found() * 64);
    EXPECT_GT(rounds.scheduler().media()->found(), 0);
    // The next turns begin with the first and its answer. A sound that is longer than those before changes how they are
    // padded.
    for (const int samples : {7000, 26000, 8000}) {
      const int64_t before = cache.pages_found();
      request.turns.push_back({assistant::Role::assistant, {first->text}});
      request.turns.push_back({assistant::Role::user, {"And now?", test_sound(samples, samples % 11)}});
      const auto next = rounds.add(request);
      rounds.run();
      EXPECT_TRUE(cache.pages_found() > before || samples > 20000);
      expect_same(*next, *answered_alone(model, request), "next turn " + std::to_string(samples));
    }
  }
}

TEST(PrefixReuse, OfPromptsThatComeTogetherTheBeginningIsRunOnce) {
  const auto model = test_model("dense_tied");
  auto request = test_requests()[1];
  Rounds rounds(model);
  std::vector<std::shared_ptr<KeepingSink>> sinks;
  for (int i = 0; i < 4; ++i) {
    request.turns[0].parts.resize(1);
    request.turns[0].parts.emplace_back("Question " + std::to_string(i));
    sinks.push_back(rounds.add(request));
  }
  rounds.run();
  const auto& cache = *rounds.scheduler().prefixes();
  const int64_t pages = sinks[0]->finish->usage.prompt_tokens / 64;
  EXPECT_GE(cache.pages_found(), 3 * (pages - 1));
  request.turns[0].parts.back() = "Question 3";
  expect_same(*sinks[3], *answered_alone(model, request), "shared");
}

TEST(PrefixReuse, AnotherPictureOfTheSameSizeIsNotTakenForIt) {
  const auto model = test_model("dense_tied");
  Rounds rounds(model);
  const std::string text(600, 'x');
  const auto of = [&](int seed) { return test_request({test_picture(64, 64, seed), text}, 8, true); };
  const auto one = rounds.add(of(1));
  rounds.run();
  const auto two = rounds.add(of(2));
  rounds.run();
  EXPECT_EQ(rounds.scheduler().prefixes()->pages_found(), 0);
  expect_same(*two, *answered_alone(model, of(2)), "another picture");
}

}  // namespace
}  // namespace calliope::engine
