// Runs that end, break off and go on; and the table at the end.
#include "eval/runner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "eval/chat_json.h"

namespace calliope::eval {
namespace {

// Knows every third answer wrongly, and none where it is told to fail; answers from threads of its own.
class Guesser final : public Answerer {
 public:
  void ask(const Task&, const Item& item, Done done) override {
    ++asked;
    most_open = std::max(most_open.load(), ++open);
    const int number = std::stoi(item.id);
    const bool fails = fail_from >= 0 && number >= fail_from;
    if (!fails) ++answering_;
    threads_.emplace_back([this, &item, number, fails, done = std::move(done)] {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      while (fails && answering_ > 0) std::this_thread::yield();  // an answer among failures would begin their row anew
      --open;
      if (fails) return done(fail(ErrorCode::io, "no line to the server"));
      done(Outcome{.text = number % 3 == 0 ? "wrong" : item.answers[0]});
      --answering_;
    });
  }
  std::atomic<int> asked = 0, open = 0, most_open = 0;
  int fail_from = -1;

 private:
  std::atomic<int> answering_ = 0;
  std::vector<std::jthread> threads_;
};

Task numbers(int count) {
  Task task{.name = "numbers", .metrics = {{.name = "exact"}}};
  for (int i = 0; i < count; ++i) {
    task.items.push_back({.id = std::to_string(i), .turns = {{assistant::Role::user, {{.text = "Say " + std::to_string(i)}}}}, .answers = {"n" + std::to_string(i)}});
  }
  return task;
}

TEST(Runner, GoesOnWhereItWasCutOff) {
  const auto path = std::filesystem::temp_directory_path() / ("calliope_results_" + std::to_string(getpid()) + ".jsonl");
  std::filesystem::remove(path);
  Task task = numbers(60);
  {
    Guesser guesser;
    guesser.fail_from = 30;
    auto results = *Results::open(path.string(), true);
    const auto run = run_task(task, guesser, results, {.model = "m", .at_once = 4});
    ASSERT_TRUE(run);
    EXPECT_LE(guesser.most_open, 4);
    EXPECT_GE(run->failed, 20);
    EXPECT_LE(run->failed, 24) << "it did not give up";
    EXPECT_EQ(run->first_error.message, "no line to the server");
    EXPECT_EQ(figures(task, results, "m")->at(0).right.size(), 30u);
  }
  std::ofstream(path, std::ios::app) << R"({"task":"numbers","item":"59","key":"12)";  // cut off while it was written
  task.items[3].turns[0].parts[0].text = "Say it otherwise";
  task.items[4].answers = {"other"};  // found anew without asking
  Guesser guesser;
  auto results = *Results::open(path.string(), true);
  int64_t last = 0, right = 0;
  const auto run = run_task(task, guesser, results, {.model = "m", .progress = [&](int64_t done, int64_t, int64_t so_far) {
                              EXPECT_EQ(done, ++last);
                              right = so_far;
                            }});
  ASSERT_TRUE(run);
  EXPECT_EQ(guesser.asked, 31);
  EXPECT_EQ(last, 60);
  const auto figure = figures(task, results, "m")->at(0);
  EXPECT_EQ(figure.right.size(), 60u);
  EXPECT_EQ(figure.count(), 39) << "40 less the one whose answer was changed";
  EXPECT_EQ(right, 39);
  EXPECT_EQ(figures(task, results, "other")->at(0).right.size(), 0u);
  EXPECT_EQ(figures(task, results, "m", 10)->at(0).right.size(), 10u);
  auto again = Results::open(path.string(), false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(figures(task, *again, "m")->at(0).count(), 39);
  std::ofstream(path) << "{\"a\":1}\n{}\n";
  EXPECT_FALSE(Results::open(path.string(), true));
  std::filesystem::remove(path);
  EXPECT_FALSE(Results::open(path.string(), false));
}

TEST(Runner, TheTable) {
  Figure mine{.metric = "exact", .right = {true, true, false, true}, .items = {0, 1, 2, 3}};
  const Figure other{.metric = "exact", .right = {false, true, true}, .items = {0, 1, 2}};
  EXPECT_EQ(table_of({{"t", mine, nullptr}}),
            "task  metric  right  of     %  95 % interval\n"
            "t     exact       3   4  75.0    30.1 - 95.4\n");
  mine.as_letters = true;
  const std::string both = table_of({{"t", mine, &other}});
  EXPECT_NE(both.find("exact (letters)"), std::string::npos) << both;
  EXPECT_NE(both.find("66.7 of 3          1           1  1\n"), std::string::npos) << both;
}

TEST(Runner, WordErrorsAndGroups) {
  Task task{.name = "t", .metrics = {{.name = "wer", .rule = Rule::wer}, {.name = "all words", .rule = Rule::words}}};
  Results results;
  for (int i = 0; i < 6; ++i) {
    task.items.push_back({.id = std::to_string(i), .turns = {{assistant::Role::user, {{.text = "q"}}}}, .answers = {"one two three four"}, .group = i < 4 ? "clean" : "noise"});
    ASSERT_TRUE(results.add("m", task, task.items.back(), {.text = i < 4 ? "One two three four." : "one two"}));
  }
  const auto list = *figures(task, results, "m");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].shares.size(), 6u);
  EXPECT_EQ(list[1].count(), 4);
  EXPECT_EQ(groups_of(task), (std::vector<std::string>{"clean", "noise"}));
  const Figure noise = list[0].of_group(task, "noise");
  EXPECT_EQ(noise.items, (std::vector<size_t>{4, 5}));
  const std::string table = table_of({{"t", list[0], nullptr}, {"  noise", noise, &list[0]}, {"t", list[1], nullptr}});
  EXPECT_NE(table.find("wer (wrong words)      4  24  16.7"), std::string::npos) << table;
  EXPECT_NE(table.find("50.0    50.0 - 50.0     50.0          -           -  1\n"), std::string::npos) << table;
  task.items[5].group = "clean";
  task.items[4].group = "clean";
  EXPECT_TRUE(groups_of(task).empty());
}

TEST(ChatJson, AsksAsOpenAisApiDoes) {
  const Task task{.name = "t", .by_likelihood = true, .max_tokens = 5, .stop = {"\n\n"}};
  Item item{.id = "1", .turns = {{assistant::Role::system, {{.text = "s"}}}, {assistant::Role::user, {{.kind = Part::Kind::image, .bytes = "\x89PNG"}, {.text = "q"}}}}, .choices = {"x", "y"}};
  EXPECT_EQ(*chat_body(task, item, "m"),
            R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw=="}},)"
            R"({"type":"text","text":"q"},{"type":"text","text":"\nA. x\nB. y\nAnswer with the letter of the right choice alone."}]}],"temperature":0E0,"max_completion_tokens":5,"stop":["\n\n"]})");
  item.turns[1].parts[0].bytes = "nothing known";
  EXPECT_FALSE(chat_body(task, item, "m"));
  EXPECT_EQ(*chat_answer(R"({"choices":[{"message":{"content":"B"}}]})"), "B");
  EXPECT_EQ(*chat_answer(R"({"choices":[{"message":{"content":null,"tool_calls":[]}}]})"), "");
  EXPECT_EQ(chat_answer(R"({"error":{"message":"no such model"}})").error().message, "the server says: no such model");
  EXPECT_FALSE(chat_answer("<html>"));
  EXPECT_FALSE(chat_answer(R"({"choices":[]})"));
}

}  // namespace
}  // namespace calliope::eval
