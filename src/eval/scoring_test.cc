#include "eval/scoring.h"

#include <gtest/gtest.h>

namespace calliope::eval {
namespace {

bool right(Rule rule, const std::string& answer, const std::string& expected) {
  const Task task{.name = "t", .metrics = {{.name = "m", .rule = rule}}};
  const auto scored = score(task, {.id = "1", .answers = {"nothing like it (", expected}}, {.text = answer});
  if (rule == Rule::regex) return score(task, {.id = "1", .answers = {expected}}, {.text = answer})->at(0);
  EXPECT_TRUE(scored);
  return scored->at(0);
}

TEST(Scoring, Rules) {
  EXPECT_TRUE(right(Rule::exact, " Paris.\n", "Paris."));
  EXPECT_FALSE(right(Rule::exact, "paris.", "Paris."));
  EXPECT_TRUE(right(Rule::loose, "It's  THE cat!", "its cat"));
  EXPECT_FALSE(right(Rule::loose, "cats", "cat"));
  EXPECT_TRUE(right(Rule::contains, "There is a cat, I think.", "A cat"));
  EXPECT_FALSE(right(Rule::contains, "concatenate", "cat"));
  EXPECT_TRUE(right(Rule::number, "That makes 3 + 4 = 1,007.0.", "1007"));
  EXPECT_FALSE(right(Rule::number, "no idea", "7"));
  EXPECT_TRUE(right(Rule::json, R"({"b":[1.0,"x"],"a":null})", R"({"a":null,"b":[1,"x"]})"));
  EXPECT_FALSE(right(Rule::json, R"({"b":[1,"x"]})", R"({"a":null,"b":[1,"x"]})"));
  EXPECT_FALSE(right(Rule::json, R"({"b":1} and more)", R"({"b":1})"));
  EXPECT_TRUE(right(Rule::regex, "The year was 1987.", R"(\b19\d\d\b)"));
  EXPECT_FALSE(rule_named("fuzzy"));
}

TEST(Scoring, WordErrors) {
  const auto errors = [](const char* answer, const char* expected) {
    const WordErrors counted = word_errors(answer, expected);
    return std::pair(counted.errors, counted.words);
  };
  EXPECT_EQ(errors("A large  latte, please!", "a Large latte please"), std::pair(int64_t{0}, int64_t{4}));
  EXPECT_EQ(errors("the latte", "a large latte please"), std::pair(int64_t{3}, int64_t{4}));   // one changed, two left out
  EXPECT_EQ(errors("I'd like a like a mocha", "I'd like a mocha"), std::pair(int64_t{2}, int64_t{4}));  // two put in
  EXPECT_EQ(errors("", "one two"), std::pair(int64_t{2}, int64_t{2}));
  EXPECT_EQ(errors("one two three", ""), std::pair(int64_t{3}, int64_t{0}));
  const Task task{.name = "t", .metrics = {{.name = "wer", .rule = Rule::wer}, {.name = "all words", .rule = Rule::words}}};
  const Item item{.id = "1", .answers = {"one two three", "one to three"}};
  EXPECT_EQ(word_errors(task, item, {.text = "one to tree"})->errors, 1);
  EXPECT_EQ(*score(task, item, {.text = "One, to three."}), (std::vector<bool>{true, true}));
  EXPECT_EQ(*score(task, item, {.text = "one to tree"}), (std::vector<bool>{false, false}));
}

TEST(Scoring, FiltersComeBeforeTheRule) {
  Task task{.name = "t"};
  task.filters = {{.kind = Filter::Kind::regex, .pattern = R"(#### (-?[0-9.,]+))"}, {}};
  task.metrics = {{.name = "exact_match", .ignore = {std::string(","), std::string(R"(\.$)")}}};
  EXPECT_EQ(*filtered(task, "So #### 1,200. And #### 7"), "1,200.");
  EXPECT_TRUE(score(task, {.id = "1", .answers = {"1200"}}, {.text = "So #### 1,200. And #### 7"})->at(0));
  EXPECT_EQ(*filtered(task, "none"), "[invalid]");
  task.filters[0].group = -1;
  EXPECT_EQ(*filtered(task, "So #### 1,200. And #### 7"), "7");
  task.filters[0].pattern = "(";
  EXPECT_FALSE(filtered(task, "x"));
}

TEST(Scoring, TheChoiceThatAnAnswerNames) {
  const std::vector<std::string> choices = {"red", "green", "light green"};
  for (const auto& [answer, expected] : {std::pair<const char*, int>{"B", 1}, {"(C)", 2}, {"The answer is B.", 1}, {"A", 0}, {"A.", 0}, {"A or B", -1},
                                         {"A bright and lovely red", 0}, {"It is red.", 0}, {"light green", -1}, {"blue", -1}, {"", -1}, {"b", -1}}) {
    EXPECT_EQ(choice_named(answer, choices), expected) << answer;
  }
}

TEST(Scoring, ByLikelihoodAndByLikelihoodACharacter) {
  const Task task{.name = "t", .by_likelihood = true, .metrics = {{.name = "acc"}, {.name = "acc_norm"}}};
  const Item item{.id = "1", .choices = {"no", "certainly", "ÄÄÄ"}, .right = 1};
  EXPECT_EQ(*score(task, item, {.log_probabilities = {-2, -4, -3}}), (std::vector<bool>{false, true}));
  EXPECT_EQ(*score(task, item, {.log_probabilities = {-5, -4, -1.2}}), (std::vector<bool>{false, false}));
  EXPECT_EQ(*score(task, item, {.text = "B", .chose_letter = true}), (std::vector<bool>{true, true}));
}

}  // namespace
}  // namespace calliope::eval
