#include "server/event_queue.h"

#include <gtest/gtest.h>

#include "server/spoken_answer_store.h"

namespace calliope::server {
namespace {

using assistant::TextDelta;

TEST(EventQueue, KeepsOrderAndWakes) {
  EventQueue queue(1000, {});
  int woken = 0;
  queue.on_event(TextDelta{"a"});
  queue.attach([&] { ++woken; });
  EXPECT_EQ(woken, 1);  // for what came before
  queue.on_event(TextDelta{"b"});
  EXPECT_EQ(woken, 2);
  queue.detach();
  queue.on_event(assistant::Finished{});
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(std::get<TextDelta>(*queue.pop()).text, "a");
  EXPECT_EQ(std::get<TextDelta>(*queue.pop()).text, "b");
  EXPECT_TRUE(std::holds_alternative<assistant::Finished>(*queue.pop()));
  EXPECT_FALSE(queue.pop());
}

TEST(EventQueue, CancelsAReaderThatLeavesTooMuchWaiting) {
  std::stop_source stop;
  EventQueue queue(1000, stop);
  queue.on_event(TextDelta{std::string(800, 'x')});
  EXPECT_FALSE(stop.stop_requested());
  queue.on_event(TextDelta{std::string(800, 'x')});
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_TRUE(queue.overflowed());
  queue.on_event(TextDelta{"y"});  // nothing may be missing in the middle
  queue.on_event(assistant::Finished{});
  EXPECT_EQ(std::get<TextDelta>(*queue.pop()).text.size(), 800u);
  EXPECT_TRUE(std::holds_alternative<assistant::Finished>(*queue.pop()));
  EXPECT_FALSE(queue.pop());
}

TEST(EventQueue, WhatIsReadMakesRoom) {
  std::stop_source stop;
  EventQueue queue(1000, stop);
  for (int i = 0; i < 100; ++i) {
    queue.on_event(assistant::AudioDelta{std::vector<float>(200)});
    EXPECT_TRUE(queue.pop());
  }
  EXPECT_FALSE(stop.stop_requested());
}

TEST(SpokenAnswerStore, ForgetsInTime) {
  SpokenAnswerStore store(std::chrono::seconds(10));
  const auto start = SpokenAnswerStore::Clock::now();
  store.remember("a", "first", start);
  store.remember("b", "second", start + std::chrono::seconds(5));
  EXPECT_EQ(store.transcript("a", start + std::chrono::seconds(9)), "first");
  EXPECT_FALSE(store.transcript("a", start + std::chrono::seconds(10)));
  EXPECT_EQ(store.transcript("b", start + std::chrono::seconds(14)), "second");
  EXPECT_FALSE(store.transcript("c", start));
}

TEST(SpokenAnswerStore, ForgetsTheOldestWhenThereAreTooMany) {
  SpokenAnswerStore store(std::chrono::seconds(1000));
  store.remember("first", "x");
  for (size_t i = 0; i < SpokenAnswerStore::kMost; ++i) store.remember(std::to_string(i), "y");
  EXPECT_FALSE(store.transcript("first"));
  EXPECT_TRUE(store.transcript("0"));
}

}  // namespace
}  // namespace calliope::server
