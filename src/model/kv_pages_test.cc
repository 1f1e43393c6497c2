#include "model/kv_pages.h"

#include <gtest/gtest.h>

#include <cstring>

namespace calliope::model {
namespace {

DecoderConfig small_config() {
  DecoderConfig config;
  config.num_hidden_layers = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 4;
  return config;
}

std::shared_ptr<KvPages> pages_of_16(int64_t most = KvPages::kUnlimited) {
  return std::make_shared<KvPages>(small_config(), KvPages::Options{.tokens = 16, .most_pages = most});
}

void extend(DecoderState& state, int64_t tokens) {
  state.reserve(small_config(), state.length() + tokens);
  state.advance(tokens);
}

TEST(KvPages, APageHoldsAllLayersAndShortTypesTakeLess) {
  EXPECT_EQ(pages_of_16()->layout().page_bytes(), 2u * 2 * 16 * 4 * sizeof(float));
  EXPECT_EQ(KvPages::page_bytes(small_config(), {.dtype = tensor::DType::bf16, .tokens = 16}), 2u * 2 * 16 * 4 * 2);
  EXPECT_EQ(KvPages::token_bytes(small_config(), tensor::DType::q8_0), 2 * 2 * (4 + 2));
  EXPECT_EQ(KvPages::page_bytes(small_config(), {.dtype = tensor::DType::q8_0, .tokens = 16}), 2u * 2 * 16 * (4 + 2));
}

TEST(KvPages, SequencesTakePagesAndGiveThemBack) {
  const auto memory = pages_of_16();
  {
    DecoderState a(memory), b(memory);
    extend(a, 16);
    extend(b, 33);
    EXPECT_EQ(memory->used_pages(), 4);
    extend(a, 1);
    EXPECT_EQ(a.pages().size(), 2u);
    b.truncate(16);
    EXPECT_EQ(b.length(), 16);
    EXPECT_EQ(memory->used_pages(), 3);
    DecoderState moved = std::move(a);
    EXPECT_EQ(moved.length(), 17);
    EXPECT_EQ(memory->used_pages(), 3);
  }
  EXPECT_EQ(memory->used_pages(), 0);
}

TEST(KvPages, ASharedPageIsCopiedBeforeItIsWritten) {
  const auto memory = pages_of_16();
  DecoderState a(memory), b(memory);
  extend(a, 32);
  std::memset(memory->data(a.pages()[1]), 7, memory->layout().page_bytes());
  b.begin_with(a.pages());
  EXPECT_EQ(b.length(), 32);
  EXPECT_EQ(memory->used_pages(), 2);
  b.truncate(20);
  extend(b, 3);
  EXPECT_EQ(b.pages()[0], a.pages()[0]);
  ASSERT_NE(b.pages()[1], a.pages()[1]);
  EXPECT_EQ(std::memcmp(memory->data(b.pages()[1]), memory->data(a.pages()[1]), memory->layout().page_bytes()), 0);
  EXPECT_EQ(b.next_rows(1).pages[1], memory->data(b.pages()[1]));
  a.reset();
  EXPECT_EQ(memory->used_pages(), 2);
}

TEST(KvPages, WhenFullItAsksForAPage) {
  const auto memory = pages_of_16(2);
  DecoderState a(memory), spare(memory);
  extend(spare, 16);
  int asked = 0;
  memory->on_full([&] {
    ++asked;
    spare.reset();
  });
  extend(a, 16);
  EXPECT_EQ(asked, 0);
  extend(a, 16);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(memory->used_pages(), 2);
  memory->on_full({});
}

}  // namespace
}  // namespace calliope::model
