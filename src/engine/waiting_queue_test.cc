#include "engine/waiting_queue.h"

#include <gtest/gtest.h>

#include <map>

namespace calliope::engine {
namespace {

class WaitingQueueTest : public testing::Test {
 protected:
  void push(const std::string& user, const std::string& id, bool live = false, std::stop_token stop = {}) {
    assistant::Request request{.id = id, .user = user, .live = live};
    queue_.push(std::move(request), nullptr, std::move(stop), nullptr, {});
  }
  // Lets in as many as there are places for; their ids.
  std::string let_in(size_t places) {
    std::string ids;
    while (auto next = queue_.pop(open_, places, [this](const std::string& user) { return users_[user]; })) {
      ids += next->request.id;
      ++open_;
      ++users_[next->request.user];
    }
    return ids;
  }
  void leave(const std::string& user) {
    --open_;
    --users_[user];
  }

  WaitingQueue queue_{20};
  std::map<std::string, int> users_;
  size_t open_ = 0;
};

TEST_F(WaitingQueueTest, GoesRoundBetweenUsers) {
  for (int i = 0; i < 4; ++i) push("a", "a");
  push("b", "b");
  push("c", "c");
  push("b", "B");
  EXPECT_EQ(let_in(6), "abcaBa");
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(WaitingQueueTest, ManyOfOneUserDoNotKeepAnotherWaiting) {
  for (int i = 0; i < 9; ++i) push("a", "a");
  EXPECT_EQ(let_in(8), "aaaaaa") << "more than three quarters";
  push("b", "b");
  EXPECT_EQ(let_in(8), "b");
  leave("a");
  push("b", "B");
  EXPECT_EQ(let_in(8), "B") << "the last place is for those that are listened to";
}

TEST_F(WaitingQueueTest, NobodyKnownMayTakeAllButTheLastEighthWhichIsForVoice) {
  for (int i = 0; i < 9; ++i) push("", "t");
  push("", "L", true);
  EXPECT_EQ(let_in(8), "Ltttttt");
  push("", "M", true);
  push("", "N", true);
  EXPECT_EQ(let_in(8), "M");
  leave("");
  leave("");
  EXPECT_EQ(let_in(8), "N");
}

TEST_F(WaitingQueueTest, IsBoundedAndOneUserMayFillHalf) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(queue_.has_room_for("a"));
    push("a", "a");
  }
  EXPECT_FALSE(queue_.has_room_for("a"));
  EXPECT_TRUE(queue_.has_room_for("b"));
  for (int i = 0; i < 10; ++i) push("", "t");
  EXPECT_FALSE(queue_.has_room_for("b"));
  EXPECT_FALSE(queue_.has_room_for(""));
}

TEST_F(WaitingQueueTest, GivesUpThoseThatWereStopped) {
  std::stop_source stop;
  push("a", "1");
  push("a", "2", false, stop.get_token());
  push("a", "3");
  EXPECT_TRUE(queue_.take_stopped().empty());
  stop.request_stop();
  const auto stopped = queue_.take_stopped();
  ASSERT_EQ(stopped.size(), 1u);
  EXPECT_EQ(stopped[0].request.id, "2");
  EXPECT_EQ(let_in(8), "13");
}

TEST_F(WaitingQueueTest, GivesUpThoseThatAreLate) {
  const Time now = Time() + std::chrono::hours(1);
  for (const auto& [id, seconds] : {std::pair("1", 5), std::pair("2", 1), std::pair("3", 0)}) {
    queue_.push({.id = id, .max_wait_s = double(seconds)}, nullptr, {}, nullptr, now);
  }
  push("", "4", true);
  EXPECT_EQ(queue_.before(false), 4u);
  EXPECT_EQ(queue_.before(true), 1u) << "voice goes first";
  EXPECT_TRUE(queue_.take_late(now + std::chrono::seconds(1)).empty());
  const auto late = queue_.take_late(now + std::chrono::seconds(2));
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].request.id, "2");
  EXPECT_EQ(let_in(8), "413");
}

TEST_F(WaitingQueueTest, WhoSpeaksDoesNotWaitYet) {
  const Time now = Time() + std::chrono::hours(1);
  const auto at = [&](int seconds) { return now + std::chrono::seconds(seconds); };
  const auto live = std::make_shared<assistant::LiveSound>(), ended = std::make_shared<assistant::LiveSound>();
  ended->end();
  for (const auto& [id, sound] : {std::pair("speaks", live), std::pair("has spoken", ended)}) {
    queue_.push({.id = id, .turns = {{.parts = {"Listen:", sound}}}, .max_wait_s = 2}, nullptr, {}, nullptr, now);
  }
  auto late = queue_.take_late(at(3));
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].request.id, "has spoken");
  EXPECT_TRUE(queue_.take_late(at(60)).empty());
  live->end();
  EXPECT_TRUE(queue_.take_late(at(61)).empty()) << "from here on it waits";
  EXPECT_TRUE(queue_.take_late(at(63)).empty());
  late = queue_.take_late(at(64));
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].asked, at(61));
}

TEST_F(WaitingQueueTest, OfOnePlaceThereIsOneForEverybody) {
  push("a", "a");
  EXPECT_EQ(let_in(1), "a");
}

}  // namespace
}  // namespace calliope::engine
